// Binds what probes.h observes, and the mode of the floating-point unit.
#include <pybind11/stl.h>
#include "../../csrc/cpu/workspace.h"
#include "arrays.h"
#include "probes.h"

namespace textnn::native {

void bind_parallel(py::module_& m) {
  m.def("units", [](const std::string& kind, int threads, int64_t n) {
    const py::gil_scoped_release release;
    bool flushed;
    Counts counts = units(kind, threads, n, &flushed);
    return std::make_pair(counts, flushed);
  });
  m.def("team", [](const std::string& kind, int threads, int64_t steps) {
    const py::gil_scoped_release release;
    const TeamReport r = team(kind, threads, steps);
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

}  // namespace textnn::native
