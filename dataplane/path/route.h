// Where a packet goes next. The kernel's routes and neighbours decide; control keeps them in the tables.
#pragma once

#include "dataplane/path/burst.h"
#include "dataplane/path/connections.h"
#include "dataplane/path/glean.h"
#include "dataplane/path/tables.h"

namespace guideway::path {

// Sets `hop`, and changes no byte. A real's route is known from the tables. What goes to nobody that they name, a nat
// reply or an answer of our own, is looked up by the destination that it will have; a host on a link whose neighbour
// entry is missing is then told to control. (Those of reals are kept anyway.)
void route(Burst& burst, const Connections& connections, const Tables& t, Glean& glean);

// The same of one answer that a later stage has made.
void route_answer(Packet& p, const Tables& t, Glean& glean);

}  // namespace guideway::path
