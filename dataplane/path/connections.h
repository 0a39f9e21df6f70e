// All that a worker remembers of flows: a table a family.
#pragma once

#include "dataplane/path/connection_table.h"

namespace guideway::path {

struct Connections {
  ConnectionTable<Connection4> v4;
  ConnectionTable<Connection6> v6;
};

}  // namespace guideway::path
