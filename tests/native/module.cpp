// The module of the native tests: the torch-free kernels of csrc/cpu on numpy arrays, and probes of what carries them.
// Kernels are called with the kind of a thread pool (pools.h), a number of threads, and their arguments by name
// (arrays.h).
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <algorithm>
#include "../../csrc/cpu/cache.h"
#include "../../csrc/cpu/capability.h"
#include "../../csrc/cpu/distinct.h"
#include "../../csrc/cpu/team_size.h"
#include "../../csrc/cpu/workspace.h"
#include "../../csrc/math/cells.h"
#include "arrays.h"
#include "pools.h"
#include "probes.h"
#include "vector_math.h"

namespace py = pybind11;

namespace textnn::native {
namespace {

Arguments arguments(const py::dict& values) {
  Arguments a;
  for (const auto& [key, value] : values) {
    const auto name = key.cast<std::string>();
    if (!py::isinstance<py::array>(value)) {
      a.sizes[name] = value.cast<int64_t>();
      continue;
    }
    const auto array = value.cast<py::array>();
    if (!(array.flags() & py::array::c_style)) throw std::invalid_argument(name + " must be in C order");
    a.arrays[name] = {const_cast<void*>(array.data()), array.size(), array.dtype().kind(), array.itemsize()};
  }
  return a;
}

void def_kernel(py::module_& m, const char* name, Kernel* kernel) {
  m.def(name, [kernel](const std::string& pool, int threads, const py::dict& values) {
    const Arguments a = arguments(values);
    const py::gil_scoped_release release;
    kernel(make_pool(pool, threads), a);
  });
}

// Those of a cell, by names that begin with its own.
template <class Cell>
void def_cell(py::module_& m) {
  const auto name = [](const char* of) { return std::string(Cell::kName) + of; };
  def_kernel(m, name("_forward").c_str(), &recurrent_forward<Cell>);
  def_kernel(m, name("_backward").c_str(), &recurrent_backward<Cell>);
  def_kernel(m, name("_cell").c_str(), &recurrent_cell<Cell>);
  def_kernel(m, name("_cell_backward").c_str(), &recurrent_cell_backward<Cell>);
  const auto def_pair = [&](const std::string& called, auto* kernel) {
    m.def(called.c_str(),
          [kernel](const std::string& pool, int threads, const py::dict& first, const py::dict& second) {
            const Arguments a = arguments(first), b = arguments(second);
            const py::gil_scoped_release release;
            kernel(make_pool(pool, threads), a, b);
          });
  };
  def_pair(name("_bidirectional_forward"), &bidirectional_forward<Cell>);
  def_pair(name("_bidirectional_backward"), &bidirectional_backward<Cell>);
}

int64_t find_distinct(const py::dict& values) {
  const Arguments a = arguments(values);
  const int64_t N = a.count("ids"), V = a.size("V");
  return cpu::find_distinct(a.array<const int64_t>("ids"), N, V, a.array<int64_t>("distinct", std::min(N, V)),
                            a.array<int32_t>("token", N));
}

void vector_math(const std::string& function, const py::dict& values) {
  const Arguments a = arguments(values);
  const int64_t n = a.count("x");
  a.dispatch("x", [&](auto zero) {
    using T = decltype(zero);
    cpu::apply<T>(function, a.array<const T>("x"), a.array<T>("y", n), n);
  });
}

void def_probes(py::module_& m) {
  m.def("units", [](const std::string& kind, int threads, int64_t n) {
    const py::gil_scoped_release release;
    bool flushed;
    Counts counts = units(kind, threads, n, &flushed);
    return std::make_pair(counts, flushed);
  });
  m.def("cache_share", &cpu::cache_share);
  m.def("core_cache_bytes", &cpu::core_cache_bytes);
  m.def("described_cache", &cpu::described_cache);
  m.def("team_patience", [](double work) { return cpu::team_patience.seconds(work); });
  m.def("set_team_patience", [](double least, double most) {
    cpu::team_patience.least = least;
    cpu::team_patience.most = most;
  });
  m.def("set_team_costs", [](double least_work, double barrier) { cpu::team_costs = {least_work, barrier}; });
  m.def("recurrent_team", [](int most, double work, int64_t steps, int64_t B, bool fits) {
    const cpu::RecurrentTeam team(most, work, steps, B, 12, fits);
    return std::make_pair(team.threads, team.share_rows);
  });
  m.def("side_by_side", &cpu::side_by_side);
  m.def("team", [](const std::string& kind, int threads, int64_t steps, double work) {
    const py::gil_scoped_release release;
    const TeamReport r = team(kind, threads, steps, work);
    return std::make_tuple(r.size, r.errors, r.flushed);
  });
  m.def("shares", [](int64_t n, int size) {
    std::vector<std::pair<int64_t, int64_t>> shares;
    for (int member = 0; member < size; ++member) {
      const cpu::Share share(n, member, size);
      shares.emplace_back(share.begin, share.end);
    }
    return shares;
  });
  m.def("workspaces", [](int threads, int64_t rounds) {
    const py::gil_scoped_release release;
    return workspaces(threads, rounds);
  });
  m.def("workspace_address", &workspace_address);
  m.def("release_workspaces", &cpu::release_workspaces);
  m.def("float_mode", &float_mode);
  m.def("set_flushing", &set_flushing);
  m.def("flushing", &flushing);
  m.def("mode_changes", &mode_changes);
}

}  // namespace
}  // namespace textnn::native

PYBIND11_MODULE(textnn_native, m) {
  using namespace textnn;
  m.def("capability", [] { return std::string(cpu::capability_name(cpu::capability())); });
  m.def("set_capability", &cpu::set_capability);
  m.def("find_distinct", &native::find_distinct);
  m.def("vector_math", &native::vector_math);
  for (const auto& [name, kernel] :
       {std::pair("adam_rows", &native::adam_rows), std::pair("adam_exact_rows", &native::adam_exact_rows),
        std::pair("adam_catch_up", &native::adam_catch_up), std::pair("embedding", &native::embedding),
        std::pair("embedding_backward", &native::embedding_backward)})
    native::def_kernel(m, name, kernel);
#define TEXTNN_DEF(Cell) native::def_cell<math::Cell>(m);
  TEXTNN_FOR_EACH_CELL(TEXTNN_DEF)
  native::def_kernel(m, "quantized_lstm", &native::quantized_lstm);
  native::def_kernel(m, "text_conv_forward", &native::text_conv_forward);
  native::def_kernel(m, "embedding_text_conv_forward", &native::embedding_text_conv_forward);
  native::def_kernel(m, "text_conv_backward", &native::text_conv_backward);
  native::def_kernel(m, "frozen_text_conv", &native::frozen_text_conv);
  native::def_kernel(m, "quantize_products", &native::quantize_products);
  native::def_kernel(m, "max_mean_pool", &native::max_mean_pool);
#if defined(__x86_64__)
  native::def_kernel(m, "instruction_bfloat16_pairs", &native::instruction_bfloat16_pairs);
  native::def_kernel(m, "instruction_bfloat16", &native::instruction_bfloat16);
  native::def_kernel(m, "instruction_bytes", &native::instruction_bytes);
  native::def_kernel(m, "instruction_tiles", &native::instruction_tiles);
#endif
  native::def_kernel(m, "max_mean_pool_backward", &native::max_mean_pool_backward);
  native::def_kernel(m, "crf_forward", &native::crf_forward);
  native::def_kernel(m, "crf_backward", &native::crf_backward);
  native::def_kernel(m, "crf_decode", &native::crf_decode);
  native::def_kernel(m, "fold_logits", &native::fold_logits);
  native::def_kernel(m, "logit_gradients", &native::logit_gradients);
  native::def_kernel(m, "gather_and_add_rows", &native::gather_and_add_rows);
  native::def_probes(m);
}
