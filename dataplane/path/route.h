// Next hop and L2 header. The kernel's routes and neighbours decide; control keeps them in the tables.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/glean.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// A real's route is known from the tables; a translated reply is looked up by its destination,
// and a host on a link whose neighbour entry is missing is told to control. (Those of reals are kept anyway.)
void route(Burst& burst, const Tables& t, Glean& glean);

}  // namespace guideway::path
