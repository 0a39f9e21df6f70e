// What the XDP program needs of the kernel and an older or a smaller one may lack. Asked only once the kernel has
// refused the program: what it says then is the verifier's word on an instruction.
#pragma once

#include <bpf/bpf.h>

#include <span>
#include <string>

namespace guideway::xdp {

struct Helper {
  bpf_func_id id;
  const char* name;
  const char* since;  // the first kernel that has it
};

// The first that the kernel doesn't let XDP programs call, in words; empty: it has them all.
std::string missing_helper(std::span<const Helper> helpers);

// Likewise, of all that our program needs: helpers, types of maps, instructions.
std::string missing_feature();

}  // namespace guideway::xdp
