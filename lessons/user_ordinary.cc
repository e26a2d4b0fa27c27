#include "lessons/user_ordinary.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/kernel/call.h"
#include "common/kernel/namespaces.h"

namespace steps {

void BecomeOrdinary(const Machine& machine) {
  if (!HasCapabilities({CAP_SETUID, CAP_SETGID}) ||
      machine.Is(kNoUserClone) || machine.Is(kRestricted)) {
    return;
  }
  const unsigned id = 1000;
  if (TRY(setresgid, id, id, id) != 0) return;
  int on_end = 0;
  MUST(prctl, PR_GET_PDEATHSIG, &on_end);
  CALL(setgroups, 0, nullptr);
  CALL(setresuid, id, id, id);
  // A change of uid clears the one, and makes /proc/self root's by the
  // other.
  MUST(prctl, PR_SET_PDEATHSIG, on_end);
  MUST(prctl, PR_SET_DUMPABLE, 1);
}

}  // namespace steps
