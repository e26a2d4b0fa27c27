look='readlink /proc/self/ns/uts /proc/self/ns/pid; echo $$'

sh -c "$look"
unshare --uts --fork readlink /proc/self/ns/uts
readlink /proc/self/ns/uts
unshare --uts sh -c "$look"
readlink /proc/self/ns/uts
unshare --pid sh -c '
  echo $$
  sh -c "echo \$\$; cd /proc/$$/ns; readlink /proc/self/ns/pid pid pid_for_children"
  readlink /proc/self/ns/pid' 2>/dev/null
unshare --pid sh -c '
  sh -c true
  exec nsenter --pid=/proc/self/ns/pid readlink /proc/self/ns/pid'
unshare --user true
sh -c "$look"
