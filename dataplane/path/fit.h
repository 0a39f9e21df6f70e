// Whether what a packet is to become is small enough for its next link, before a byte of it is changed.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

void fit(Burst& burst, const Tables& t);

}  // namespace guideway::path
