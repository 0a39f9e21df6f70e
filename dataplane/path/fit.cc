#include "dataplane/path/fit.h"

#include "dataplane/path/encapsulate.h"

namespace guideway::path {

void fit(Burst& burst, const Tables& t) {
  for (Packet& p : burst.all())
    if (p.live() && p.l3_length + overhead(p, t) > t.next_hops[p.hop].mtu) p.drop(net::DropReason::MTU_EXCEEDED);
}

}  // namespace guideway::path
