// What the library takes from releases of torch later than the oldest that it runs on (tools/torch_floor.py).
//
// Headers hide these functions from a build for the older release, so they are declared here, weak: where the torch
// that runs does not have one, its address is null, and the caller has another way.
#pragma once
#include <cstdint>
#include <torch/csrc/stable/c/shim.h>
#include <torch/csrc/stable/ops.h>

#if !defined(STABLE_TORCH_ERROR_CODE_CHECK)  // its name in the headers of 2.10
#define STABLE_TORCH_ERROR_CODE_CHECK TORCH_ERROR_CODE_CHECK
#endif

extern "C" {

// Since 2.11. A tensor on memory that `deleter` gets back.
__attribute__((weak)) AOTITorchError torch_from_blob(void* data, int64_t dim, const int64_t* size,
                                                     const int64_t* stride, int64_t storage_offset, int32_t dtype,
                                                     int32_t device_type, int32_t device_index,
                                                     AtenTensorHandle* result, int32_t layout, const uint8_t* metadata,
                                                     int64_t metadata_size, void (*deleter)(void* data, void* context),
                                                     void* context);

// Since 2.13. The stream as its own library has it: cudaStream_t.
__attribute__((weak)) AOTITorchError torch_stream_native_handle(StreamHandle stream, void** result);

}  // extern "C"
