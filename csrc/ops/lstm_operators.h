// The LSTM operators as the schemas have them (library.cpp), for a device's forward and backward:
//
//   static LstmForwardResult forward(const LstmInput&, h0, c0, const LstmDirections&, sizes, layout, outputs, save);
//   static LstmGradients backward(dy, dh_n, dc_n, const LstmInput&, c0, const LstmDirections&, sizes, layout,
//                                 const LstmKept&, need_dx, TableOptions);
#pragma once
#include "lstm.h"

namespace textnn::ops {

template <class OnDevice>
struct LstmOperators {
  static LstmInput vectors(const Tensor& x) {
    const Tensor t = with_contiguous_vectors(x);
    return {t, t, false};
  }
  static LstmInput tokens(const Tensor& ids, const Tensor& table) {
    check_table_shape(table);
    return {compact(table), compact(ids), true};
  }

  static LstmForwardResult lstm(const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& w_ih,
                                const Tensor& w_hh, const OptionalTensor& b_ih, const OptionalTensor& b_hh,
                                const OptionalTensor& w_hr, const OptionalTensor& sizes, std::string layout,
                                bool reverse, bool outputs, bool save) {
    return OnDevice::forward(vectors(x), h0, c0, {{w_ih, w_hh, b_ih, b_hh, w_hr, reverse}}, sizes, layout, outputs,
                             save);
  }

  static LstmForwardResult bilstm(const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& w_ih,
                                  const Tensor& w_hh, const OptionalTensor& b_ih, const OptionalTensor& b_hh,
                                  const OptionalTensor& w_hr, const Tensor& w_ih_reverse, const Tensor& w_hh_reverse,
                                  const OptionalTensor& b_ih_reverse, const OptionalTensor& b_hh_reverse,
                                  const OptionalTensor& w_hr_reverse, const OptionalTensor& sizes, std::string layout,
                                  bool outputs, bool save) {
    return OnDevice::forward(vectors(x), h0, c0,
                             {{w_ih, w_hh, b_ih, b_hh, w_hr, false},
                              {w_ih_reverse, w_hh_reverse, b_ih_reverse, b_hh_reverse, w_hr_reverse, true}},
                             sizes, layout, outputs, save);
  }

  static LstmForwardResult embedding_lstm(const Tensor& ids, const Tensor& table, const Tensor& h0, const Tensor& c0,
                                          const Tensor& w_ih, const Tensor& w_hh, const OptionalTensor& b_ih,
                                          const OptionalTensor& b_hh, const OptionalTensor& w_hr,
                                          const OptionalTensor& w_ih_reverse, const OptionalTensor& w_hh_reverse,
                                          const OptionalTensor& b_ih_reverse, const OptionalTensor& b_hh_reverse,
                                          const OptionalTensor& w_hr_reverse, const OptionalTensor& sizes,
                                          std::string layout, int64_t /*padding_idx*/, bool /*sparse*/, bool outputs,
                                          bool save) {
    return OnDevice::forward(
        tokens(ids, table), h0, c0,
        one_or_two(w_ih, w_hh, b_ih, b_hh, w_hr, w_ih_reverse, w_hh_reverse, b_ih_reverse, b_hh_reverse, w_hr_reverse),
        sizes, layout, outputs, save);
  }

  static std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> lstm_backward(
      const OptionalTensor& dy, const OptionalTensor& dh_n, const OptionalTensor& dc_n, const Tensor& x,
      const Tensor& c0, const Tensor& w_ih, const Tensor& w_hh, const OptionalTensor& w_hr, const OptionalTensor& sizes,
      std::string layout, bool reverse, const Tensor& gates, const Tensor& cells, const Tensor& h_prev,
      const Tensor& unprojected, bool need_dx) {
    const LstmGradients g =
        OnDevice::backward(dy, dh_n, dc_n, vectors(x), c0, {{w_ih, w_hh, std::nullopt, std::nullopt, w_hr, reverse}},
                           sizes, layout, {gates, cells, h_prev, unprojected}, need_dx, {});
    return {g.dx, g.dh0, g.dc0, g.dw[0].ih, g.dw[0].hh, g.dw[0].b, g.dw[0].hr};
  }

  static std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>
  bilstm_backward(const OptionalTensor& dy, const OptionalTensor& dh_n, const OptionalTensor& dc_n, const Tensor& x,
                  const Tensor& c0, const Tensor& w_ih, const Tensor& w_hh, const OptionalTensor& w_hr,
                  const Tensor& w_ih_reverse, const Tensor& w_hh_reverse, const OptionalTensor& w_hr_reverse,
                  const OptionalTensor& sizes, std::string layout, const Tensor& gates, const Tensor& cells,
                  const Tensor& h_prev, const Tensor& unprojected, bool need_dx) {
    const LstmGradients g = OnDevice::backward(dy, dh_n, dc_n, vectors(x), c0,
                                               one_or_two(w_ih, w_hh, std::nullopt, std::nullopt, w_hr, w_ih_reverse,
                                                          w_hh_reverse, std::nullopt, std::nullopt, w_hr_reverse),
                                               sizes, layout, {gates, cells, h_prev, unprojected}, need_dx, {});
    return {g.dx,       g.dh0,      g.dc0,      g.dw[0].ih, g.dw[0].hh, g.dw[0].b,
            g.dw[0].hr, g.dw[1].ih, g.dw[1].hh, g.dw[1].b,  g.dw[1].hr};
  }

  static std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>
  embedding_lstm_backward(const OptionalTensor& dy, const OptionalTensor& dh_n, const OptionalTensor& dc_n,
                          const Tensor& ids, const Tensor& table, const Tensor& c0, const Tensor& w_ih,
                          const Tensor& w_hh, const OptionalTensor& w_hr, const OptionalTensor& w_ih_reverse,
                          const OptionalTensor& w_hh_reverse, const OptionalTensor& w_hr_reverse,
                          const OptionalTensor& sizes, std::string layout, const Tensor& gates, const Tensor& cells,
                          const Tensor& h_prev, const Tensor& unprojected, int64_t padding_idx, bool sparse,
                          bool need_dtable) {
    const LstmGradients g =
        OnDevice::backward(dy, dh_n, dc_n, tokens(ids, table), c0,
                           one_or_two(w_ih, w_hh, std::nullopt, std::nullopt, w_hr, w_ih_reverse, w_hh_reverse,
                                      std::nullopt, std::nullopt, w_hr_reverse),
                           sizes, layout, {gates, cells, h_prev, unprojected}, need_dtable, {padding_idx, sparse});
    const auto none = [&] { return empty(table, {0}); };
    const auto second = g.dw.size() == 2 ? g.dw[1] : LstmGradients::Weights{none(), none(), none(), none()};
    return {g.dx,      g.distinct, g.dh0,     g.dc0,     g.dw[0].ih, g.dw[0].hh,
            g.dw[0].b, g.dw[0].hr, second.ih, second.hh, second.b,   second.hr};
  }
};

}  // namespace textnn::ops
