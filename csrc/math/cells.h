// The list of recurrent cells.
#pragma once
#include "elman.h"
#include "gru.h"
#include "lstm.h"

#define TEXTNN_FOR_EACH_CELL(X) X(Lstm) X(Gru) X(RnnTanh) X(RnnRelu)
