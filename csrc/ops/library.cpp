// The schemas of every operator, and the module that makes `import textnn._C` load this library. Kernels register
// themselves beside their operator. Shapes, layouts and checks: textnn/functional/ and ragged.h.
#include <Python.h>
#include "../cpu/capability.h"
#include "../cpu/workspace.h"
#include "tensors.h"

STABLE_TORCH_LIBRARY(textnn, m) {
  // One step of a cell (math/cells.h) from its products on, W_ih x + b_ih and W_hh h + b_hh. hidden_gates may be
  // missing where the sums of both are in input_gates; h belongs to cells that read their own state (GRU), c to those
  // with a cell state (LSTM). Results that a cell does not have are empty.
  m.def(
      "recurrent_cell(str cell, Tensor input_gates, Tensor? hidden_gates, Tensor? h, Tensor? c) -> (Tensor h_next, "
      "Tensor c_next)");
  // dhidden_gates is empty for cells whose products add to the same sums: it would equal dinput_gates.
  m.def(
      "recurrent_cell_backward(str cell, Tensor? dh_next, Tensor? dc_next, Tensor input_gates, Tensor? hidden_gates, "
      "Tensor? h, Tensor? c) -> (Tensor dinput_gates, Tensor dhidden_gates, Tensor dh, Tensor dc)");

  // One layer of a cell (math/cells.h), in one direction or, with weights of the reverse one, both: states
  // [directions, B, ..], or [B, ..] of one. From vectors, or with a table from token ids. reverse: of one direction.
  // outputs: whether y is wanted; else it comes back empty, and only the final states are made.
  // cells: whether c is wanted, the cell states of all steps as y has the outputs; else it comes back empty.
  // save: keep what the backward pass needs (kept, cells, h_prev, unprojected); without it these come back empty.
  // For each direction they have as many rows as the sum of the lengths if `exact`, else as x has vectors, which a
  // compiler knows without the lengths; so many on CUDA, too, where lengths are on the device. Those behind the sum are
  // not written.
  // precision: of the products of float32 tensors on the CPU, "ieee" or "bf16" (cpu/precision.h); "bf16_outputs" if y
  // and its gradient are to be in bfloat16, too. On CUDA the dtype says it.
  // tf32, form: for CUDA kernels, of which the others know nothing. Whether products of float32 may be made in TF32;
  // the form of the recurrence, 0 what is estimated to cost less, 1 steps, 2 persistent.
#define TEXTNN_RECURRENT_ARGUMENTS                                                                             \
  "Tensor input, Tensor? table, Tensor h0, Tensor? c0, Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh, " \
  "Tensor? w_hr, Tensor? w_ih_reverse, Tensor? w_hh_reverse, Tensor? b_ih_reverse, Tensor? b_hh_reverse, "     \
  "Tensor? w_hr_reverse, Tensor? sizes, str layout, bool reverse, str precision, "
  m.def("recurrent(str cell, " TEXTNN_RECURRENT_ARGUMENTS
        "int padding_idx, bool sparse, bool outputs, bool cells, bool save, bool exact, bool tf32=False, "
        "int form=0) -> (Tensor y, Tensor h_n, Tensor c_n, Tensor c, Tensor kept, Tensor cells, Tensor h_prev, Tensor "
        "unprojected)");
  // dinput is the gradient of x, or of the table: [V, D], or where it is sparse [U, D] for the rows `distinct` [U], in
  // rising order. Gradients of weights that are not there are empty.
  m.def("recurrent_backward(str cell, Tensor? dy, Tensor? dh_n, Tensor? dc_n, Tensor? dc, " TEXTNN_RECURRENT_ARGUMENTS
        "Tensor kept, Tensor cells, Tensor h_prev, Tensor unprojected, int padding_idx, bool sparse, bool need_dinput, "
        "bool tf32=False, int form=0) -> (Tensor dinput, Tensor distinct, Tensor dh0, Tensor dc0, Tensor dw_ih, Tensor "
        "dw_hh, Tensor db_ih, "
        "Tensor db_hh, Tensor dw_hr, Tensor dw_ih_reverse, Tensor dw_hh_reverse, Tensor db_ih_reverse, "
        "Tensor db_hh_reverse, Tensor dw_hr_reverse)");
#undef TEXTNN_RECURRENT_ARGUMENTS

  // One step of all layers of a stack: input [B, I], or ids [B] with a table; states [layers, B, ..]. weights: of each
  // layer, the lowest first, w_ih and w_hh, then both biases or none, then w_hr if there is a projection.
  m.def(
      "recurrent_step(str cell, Tensor input, Tensor? table, Tensor h, Tensor? c, Tensor[] weights) -> (Tensor y, "
      "Tensor h_next, Tensor c_next)");

  // Inference with weights of 8 bits: weight [panels, groups, 4, 16, 4] int8, scale and sum [2, 4H] of W_ih and W_hh,
  // see cpu/quantized_lstm.h.
  m.def(
      "quantized_lstm(Tensor x, Tensor h0, Tensor c0, Tensor weight, Tensor scale, Tensor sum, Tensor bias, "
      "Tensor? sizes, str layout, bool reverse, bool outputs) -> (Tensor y, Tensor h_n, Tensor c_n)");

  // at [B, F]: the steps of the maxima, kept for the backward pass.
  m.def("max_mean_pool(Tensor x, Tensor? sizes, bool flat, bool save) -> (Tensor y, Tensor at)");
  m.def("max_mean_pool_backward(Tensor dy, Tensor at, Tensor x, Tensor? sizes, bool flat) -> Tensor");

  // Layout time_major, batch_major or flat. Without tags the score of the tags counts as 0: y [B] is -log Z. alphas, as
  // x, are kept for the backward pass. tags [n_best, ..], scores [n_best, B].
#define TEXTNN_CRF_SCORES "Tensor start, Tensor end, Tensor transitions, Tensor? sizes, str layout"
  m.def("crf_log_likelihood(Tensor x, Tensor? tags, " TEXTNN_CRF_SCORES ", bool save) -> (Tensor y, Tensor alphas)");
  m.def("crf_log_likelihood_backward(Tensor dy, Tensor x, Tensor? tags, " TEXTNN_CRF_SCORES
        ", Tensor alphas) -> (Tensor dx, Tensor dstart, Tensor dend, Tensor dtransitions)");
  m.def("crf_marginals(Tensor x, " TEXTNN_CRF_SCORES ") -> Tensor");
  m.def("crf_decode(Tensor x, " TEXTNN_CRF_SCORES ", int n_best) -> (Tensor tags, Tensor scores)");
#undef TEXTNN_CRF_SCORES

  // context [B, Q, H] of query [B, Q, H] and states [B, T, H] or flat [N, H]. weights [B, Q, T], or [Q, N] of flat
  // states, for the backward pass and for those who want them; [0] without save.
  m.def(
      "ragged_attention(Tensor query, Tensor states, Tensor? sizes, bool flat, float scale, bool save) -> (Tensor "
      "context, Tensor weights)");
  m.def(
      "ragged_attention_backward(Tensor? dcontext, Tensor? dweights, Tensor query, Tensor states, Tensor weights, "
      "Tensor? sizes, bool flat, float scale) -> (Tensor dquery, Tensor dstates)");

  // loss [] or, of reduction none, [N]. save: lse [N] comes back for the backward pass, and, unless reduction is none,
  // the gradients of the loss: dx if need_dx, dweight and dbias if need_dweight. What is not wanted has no rows.
  // precision: of the products of float32 tensors, "ieee" or "bf16".
#define TEXTNN_LINEAR_CROSS_ENTROPY \
  "str reduction, int ignore_index, float label_smoothing, str precision, bool need_dx, bool need_dweight"
  m.def(
      "linear_cross_entropy(Tensor x, Tensor linear_weight, Tensor? linear_bias, Tensor target, Tensor? "
      "weight, " TEXTNN_LINEAR_CROSS_ENTROPY
      ", bool save) -> (Tensor loss, Tensor lse, Tensor dx, Tensor dweight, Tensor dbias)");
  m.def(
      "linear_cross_entropy_backward(Tensor dloss, Tensor x, Tensor linear_weight, Tensor? linear_bias, Tensor target, "
      "Tensor? weight, Tensor lse, " TEXTNN_LINEAR_CROSS_ENTROPY ") -> (Tensor dx, Tensor dweight, Tensor dbias)");
#undef TEXTNN_LINEAR_CROSS_ENTROPY

  m.def("embedding(Tensor ids, Tensor table, int padding_idx, bool sparse) -> Tensor");
  // sparse: dtable [U, D] holds the rows `distinct` [U], in rising order; otherwise dtable [rows, D], distinct is
  // empty.
  m.def(
      "embedding_backward(Tensor dy, Tensor ids, int rows, int padding_idx, bool sparse) -> (Tensor dtable, "
      "Tensor distinct)");

  // Of integers, without gradients. y [.., S]: in column i the buckets of n-grams of ngrams[i] tokens, see
  // math/ngrams.h; with distinct, a bucket that its sentence had before is 0.
  m.def("hash_ngrams(Tensor ids, int[] ngrams, int buckets, Tensor? sizes, bool flat, bool distinct=False) -> Tensor");

  m.def(
      "adam_rows(Tensor(a!) param, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor rows, Tensor grad, "
      "float step_size, float floor, float beta1, float beta2) -> ()");
  m.def(
      "adam_exact_rows(Tensor(a!) param, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor(d!) last, "
      "Tensor(e!) history, Tensor rows, Tensor grad, int base, int step, float step_size, float floor, float beta1, "
      "float beta2) -> ()");
  m.def(
      "adam_catch_up(Tensor(a!) param, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor(d!) last, Tensor history, "
      "Tensor? ids, int base, int step, float beta1, float beta2) -> ()");

  m.def(
      "text_conv(Tensor x, Tensor[] weight, Tensor[] bias, Tensor? sizes, bool flat, bool same, int activation, "
      "str precision, bool save) -> (Tensor y, Tensor window)");
  // dweight: the gradients [C, D, K] of all kernels one behind the other.
  m.def(
      "text_conv_backward(Tensor dy, Tensor x, Tensor[] weight, Tensor? sizes, bool flat, bool same, int activation, "
      "str precision, Tensor y, Tensor window, bool need_dx) -> (Tensor dx, Tensor dweight, Tensor dbias)");
  // precision, tf32: as above. deterministic: whether the table's gradient is to be summed in a fixed order on CUDA, as
  // it is on the CPU in any case; in the forward operator for its backward pass, like sparse.
  m.def(
      "embedding_text_conv(Tensor ids, Tensor table, Tensor[] weight, Tensor[] bias, Tensor? sizes, bool flat, "
      "bool same, int activation, str precision, int padding_idx, bool sparse, bool save, bool tf32=False, bool "
      "deterministic=False) "
      "-> (Tensor y, Tensor window)");
  // sparse: dtable [U, D] holds the rows `distinct` [U]; otherwise dtable [V, D], and distinct comes back empty.
  m.def(
      "embedding_text_conv_backward(Tensor dy, Tensor ids, Tensor table, Tensor[] weight, Tensor? sizes, bool flat, "
      "bool same, int activation, str precision, Tensor y, Tensor window, int padding_idx, bool sparse, bool "
      "need_dtable, "
      "bool deterministic=False) -> (Tensor dtable, Tensor distinct, Tensor dweight, Tensor dbias)");

  // One row of y for each window instead of the maximum: y [N_out, S * C] of flat tokens, [B, L_out, S * C] of padded
  // ones, zero behind a sentence's windows. padding: zero vectors on either side, without `same`.
  m.def(
      "text_conv_positions(Tensor x, Tensor[] weight, Tensor[] bias, Tensor? sizes, bool flat, bool same, int padding, "
      "int stride, int activation, str precision) -> Tensor");
  m.def(
      "text_conv_positions_backward(Tensor dy, Tensor x, Tensor[] weight, Tensor? sizes, bool flat, bool same, "
      "int padding, int stride, int activation, str precision, Tensor y, bool need_dx) -> (Tensor dx, Tensor dweight, "
      "Tensor dbias)");
  m.def(
      "embedding_text_conv_positions(Tensor ids, Tensor table, Tensor[] weight, Tensor[] bias, Tensor? sizes, "
      "bool flat, bool same, int padding, int stride, int activation, str precision, int padding_idx, bool sparse, "
      "bool tf32=False) "
      "-> "
      "Tensor");
  m.def(
      "embedding_text_conv_positions_backward(Tensor dy, Tensor ids, Tensor table, Tensor[] weight, Tensor? sizes, "
      "bool flat, bool same, int padding, int stride, int activation, str precision, Tensor y, int padding_idx, bool "
      "sparse, "
      "bool need_dtable) -> (Tensor dtable, Tensor distinct, Tensor dweight, Tensor dbias)");

  // Inference only. Rows 0 .. R of table [R, taps of all kernels, width] hold products, the rows behind them are
  // computed for the batch from rest [.., D] and weight [D, taps of all kernels, width]; row [V] says which of them is
  // a token's.
  m.def(
      "frozen_text_conv(Tensor ids, Tensor table, Tensor? scale, Tensor bias, int[] kernel_sizes, Tensor? row, "
      "Tensor? rest, Tensor? weight, Tensor? sizes, bool flat, bool same, int activation) -> Tensor");
  m.def("advise_huge_pages(Tensor t) -> ()");

  m.def("cpu_capability() -> str");
  m.def("has_dot_products() -> bool");
  m.def("set_cpu_capability(str name) -> ()");
  m.def("cuda_built() -> bool");
  m.def("cuda_architectures() -> str");  // "7.5 8.0+PTX"
  m.def("release_workspaces() -> ()");
}

namespace textnn::ops {
namespace {

std::string cpu_capability() { return cpu::capability_name(cpu::capability()); }
bool has_dot_products() { return cpu::has_dot_products(); }
void set_cpu_capability(std::string name) { cpu::set_capability(name); }
bool cuda_built() {
#if defined(TEXTNN_WITH_CUDA)
  return true;
#else
  return false;
#endif
}
std::string cuda_architectures() {
#if defined(TEXTNN_CUDA_ARCHITECTURES)
  return TEXTNN_CUDA_ARCHITECTURES;
#else
  return "";
#endif
}

}  // namespace
}  // namespace textnn::ops

STABLE_TORCH_LIBRARY_IMPL(textnn, CompositeExplicitAutograd, m) {
  m.impl("cpu_capability", TORCH_BOX(&textnn::ops::cpu_capability));
  m.impl("set_cpu_capability", TORCH_BOX(&textnn::ops::set_cpu_capability));
  m.impl("has_dot_products", TORCH_BOX(&textnn::ops::has_dot_products));
  m.impl("cuda_built", TORCH_BOX(&textnn::ops::cuda_built));
  m.impl("cuda_architectures", TORCH_BOX(&textnn::ops::cuda_architectures));
  m.impl("release_workspaces", TORCH_BOX(&textnn::cpu::release_workspaces));
}

extern "C" PyMODINIT_FUNC PyInit__C(void) {
  static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  return PyModule_Create(&module);
}
