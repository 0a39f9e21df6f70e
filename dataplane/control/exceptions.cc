#include "dataplane/control/exceptions.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <rte_errno.h>

#include "log/trouble.h"

namespace guideway::control {

absl::StatusOr<ExceptionTable> ExceptionTable::create(Reclaimer& reclaimer, KernelMirror* mirror) {
  static unsigned instance = 0;  // names are the process's
  const std::string name = absl::StrCat("exceptions", instance++);
  rte_hash_parameters parameters{};
  parameters.name = name.c_str();
  parameters.entries = kMaxExceptions;
  parameters.key_len = sizeof(net::FlowKey6);
  parameters.socket_id = SOCKET_ID_ANY;
  // Readers never lock, nor does the one writer.
  parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF;
  ExceptionTable table(rte_hash_create(&parameters), mirror);
  if (table.hash_ == nullptr)
    return log::failure(absl::StatusCode::kResourceExhausted,
                        absl::StrCat("cannot allocate the exception table: ", rte_strerror(rte_errno)),
                        "free some memory");
  rte_hash_rcu_config rcu{};
  rcu.v = reclaimer.qsbr();
  rcu.mode = RTE_HASH_QSBR_MODE_DQ;
  if (rte_hash_rcu_qsbr_add(table.hash_.get(), &rcu) != 0)
    return log::failure(absl::StatusCode::kInternal,
                        absl::StrCat("cannot attach quiescence to the exception table: ", rte_strerror(rte_errno)),
                        "free some memory; if it goes on, report this as a bug");
  return table;
}

bool ExceptionTable::put(const net::FlowKey6& key, path::RealIndex real) {
  void* value = reinterpret_cast<void*>(static_cast<uintptr_t>(real));
  const hash_sig_t hash = path::exception_hash(key);
  void* before = nullptr;
  const bool fresh = rte_hash_lookup_with_hash_data(hash_.get(), &key, hash, &before) < 0;
  // As most are, at each sweep.
  if (!fresh && before == value && (mirror_ == nullptr || !mirror_->lacks_exception(key))) return true;
  if (rte_hash_add_key_with_hash_data(hash_.get(), &key, hash, value) != 0) return false;
  if (mirror_ != nullptr) mirror_->put_exception(key, real);
  size_ += fresh ? 1 : 0;
  return true;
}

void ExceptionTable::amend(const net::FlowKey6& key, path::RealIndex real) {
  if (path::find_exception(hash_.get(), key) != path::kNone<path::RealIndex>) put(key, real);
}

void ExceptionTable::remove(const net::FlowKey6& key) {
  if (rte_hash_del_key_with_hash(hash_.get(), &key, path::exception_hash(key)) < 0) return;
  if (mirror_ != nullptr) mirror_->remove_exception(key);
  --size_;
}

void ExceptionTable::for_each(const std::function<void(const net::FlowKey6&, path::RealIndex)>& visit) const {
  const void* key = nullptr;
  void* value = nullptr;
  for (uint32_t next = 0; rte_hash_iterate(hash_.get(), &key, &value, &next) >= 0;)
    visit(*static_cast<const net::FlowKey6*>(key), static_cast<path::RealIndex>(reinterpret_cast<uintptr_t>(value)));
}

}  // namespace guideway::control
