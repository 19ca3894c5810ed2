// Of tests that run the instructions in plain C++ (tests/native/emulated_instructions.h) the baseline.
#if defined(__clang__)
#if defined(TEXTNN_EMULATED_INSTRUCTIONS)
#pragma clang attribute push(__attribute__((target("sse2"))), apply_to = function)
#else
#pragma clang attribute push(                                                                            \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16,avx2,fma"))), \
    apply_to = function)
#endif
#else
#pragma GCC push_options
#if !defined(TEXTNN_EMULATED_INSTRUCTIONS)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16,avx2,fma,prefer-vector-width=512")
#endif
#endif
