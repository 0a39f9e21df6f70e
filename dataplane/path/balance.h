// VIP → real, for what no connection has decided.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

void balance(Burst& burst, const Tables& t);

}  // namespace guideway::path
