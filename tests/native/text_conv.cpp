// csrc/cpu/text_conv.h and pool.h, called with arguments by the names that they have there; the weights of kernel i are
// the arrays "weight<i>" and "bias<i>".
#include "../../csrc/cpu/pool.h"
#include "../../csrc/cpu/text_conv.h"
#include <vector>
#include "arrays.h"

namespace textnn::native {
namespace {

struct Shape {
  cpu::Sentences sentences;
  cpu::TextConvKernelSizes sizes;
  int64_t columns;  // of y and window

  explicit Shape(const Arguments& a)
      : sentences{a.count("start"), a.array<const int64_t>("start"), a.array<const int64_t>("length")},
        sizes{a.count("taps"),     a.size("C"),
              a.size("D"),         a.array<const int64_t>("taps"),
              a.size("same") != 0, math::Activation(int(a.size("activation")))},
        columns(sentences.B * sizes.S * sizes.C) {
    sizes.bfloat16 = a.size("bfloat16") != 0;
  }
  int64_t weights() const { return sizes.taps_before(sizes.S) * sizes.C * sizes.D; }
};

template <class T>
struct Weights {
  std::vector<const T*> weight, bias;

  Weights(const Arguments& a, const Shape& shape) {
    for (int64_t i = 0; i < shape.sizes.S; ++i) {
      const std::string number = std::to_string(i);
      weight.push_back(a.array<const T>("weight" + number, shape.sizes.C * shape.sizes.D * shape.sizes.taps[i]));
      bias.push_back(a.optional<const T>("bias" + number, shape.sizes.C));
    }
  }
};

template <class T>
void forward(const cpu::ThreadPool& pool, const Arguments& a) {
  const Shape shape(a);
  const Weights<T> w(a, shape);
  const cpu::TextConvForward<T> args{shape.sentences,
                                     shape.sizes,
                                     a.array<const T>("x"),
                                     w.weight.data(),
                                     w.bias.data(),
                                     a.array<T>("y", shape.columns),
                                     a.optional<int32_t>("window", shape.columns)};
  cpu::text_conv_forward(pool, args);
}

template <class T>
void embedding_forward(const cpu::ThreadPool& pool, const Arguments& a) {
  const Shape shape(a);
  const Weights<T> w(a, shape);
  const cpu::EmbeddingTextConvForward<T> args{shape.sentences,
                                              shape.sizes,
                                              a.count("distinct"),
                                              a.array<const int64_t>("distinct"),
                                              a.array<const int32_t>("token"),
                                              a.array<const T>("table"),
                                              w.weight.data(),
                                              w.bias.data(),
                                              a.array<T>("y", shape.columns),
                                              a.optional<int32_t>("window", shape.columns)};
  cpu::embedding_text_conv_forward(pool, args);
}

template <class T>
void backward(const cpu::ThreadPool& pool, const Arguments& a) {
  const Shape shape(a);
  const Weights<T> w(a, shape);
  const int64_t dx_rows = a.size("dx_rows");
  cpu::TextConvBackward<T> args{};
  args.sentences = shape.sentences;
  args.sizes = shape.sizes;
  args.N = a.size("N");
  args.x = a.array<const T>("x");
  args.embedded = a.size("embedded") != 0;
  args.U = args.embedded ? a.count("distinct") : args.N;
  args.distinct = a.optional<const int64_t>("distinct");
  args.token = a.optional<const int32_t>("token");
  args.weight = w.weight.data();
  args.y = a.array<const T>("y", shape.columns);
  args.window = a.array<const int32_t>("window", shape.columns);
  args.dy = a.array<const T>("dy", shape.columns);
  args.compact = a.size("compact") != 0;
  args.padding = a.size("padding");
  args.dx_rows = dx_rows;
  args.dx = a.optional<T>("dx", dx_rows * shape.sizes.D);
  args.dweight = a.optional<T>("dweight", shape.weights());
  args.dbias = a.optional<T>("dbias", shape.sizes.S * shape.sizes.C);
  cpu::text_conv_backward(pool, args);
}

}  // namespace

void text_conv_forward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("y", [&](auto zero) { forward<decltype(zero)>(pool, a); });
}

void embedding_text_conv_forward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("y", [&](auto zero) { embedding_forward<decltype(zero)>(pool, a); });
}

void text_conv_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  a.dispatch("y", [&](auto zero) { backward<decltype(zero)>(pool, a); });
}

void max_mean_pool(const cpu::ThreadPool& pool, const Arguments& a) {
  const cpu::Sentences sentences{a.count("start"), a.array<const int64_t>("start"), a.array<const int64_t>("length")};
  const int64_t B = sentences.B, F = a.size("F");
  a.dispatch("x", [&](auto zero) {
    using T = decltype(zero);
    cpu::max_mean_pool<T>(
        pool, {sentences, F, a.array<const T>("x"), a.array<T>("y", B * 2 * F), a.optional<int32_t>("at", B * F)});
  });
}

void max_mean_pool_backward(const cpu::ThreadPool& pool, const Arguments& a) {
  const cpu::Sentences sentences{a.count("start"), a.array<const int64_t>("start"), a.array<const int64_t>("length")};
  const int64_t B = sentences.B, F = a.size("F"), N = a.size("N");
  a.dispatch("dy", [&](auto zero) {
    using T = decltype(zero);
    cpu::max_mean_pool_backward<T>(pool, {sentences, F, N, a.array<const int32_t>("at", B * F),
                                          a.array<const T>("dy", B * 2 * F), a.array<T>("dx", N * F)});
  });
}

}  // namespace textnn::native
