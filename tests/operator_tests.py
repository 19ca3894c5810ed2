"""The files of tests that hold on every device: those of the operators and layers. Read by conftest.py and by
tools/gpu_check, which has to know them without importing torch."""

OPERATOR_TESTS = (
    "test_adam_operators",
    "test_attention",
    "test_compile",
    "test_crf",
    "test_crf_errors",
    "test_cuda",
    "test_cuda_settings",
    "test_embedding",
    "test_embedding_recurrent",
    "test_freeze_text_conv",
    "test_frozen_text_conv",
    "test_layer_cells",
    "test_layer_crf",
    "test_layer_linear_cross_entropy",
    "test_layer_recurrent",
    "test_layer_recurrent_extras",
    "test_layer_ngrams",
    "test_layer_text_conv",
    "test_linear_cross_entropy",
    "test_linear_cross_entropy_checks",
    "test_lstm",
    "test_recurrent_cell",
    "test_ngrams",
    "test_optim",
    "test_optim_models",
    "test_pool",
    "test_recurrent",
    "test_recurrent_cells",
    "test_recurrent_errors",
    "test_recurrent_memory",
    "test_text_conv",
    "test_text_conv_positions",
)

CUDA_TESTS = ("test_cuda", "test_cuda_settings")  # those that hold on no CPU
