#include "../recurrent_engine.h"

namespace textnn::cpu {
TEXTNN_RECURRENT_CELL(math::RnnRelu)
}  // namespace textnn::cpu
