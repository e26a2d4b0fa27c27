# The evidence of the lesson setns, by hand.
look='uname -n; readlink /proc/self/ns/uts'

sh -c "$look"
unshare --uts --ipc sh -c '
  hostname container_001
  uname -n; readlink /proc/self/ns/uts
  nsenter --target $$ --uts sh -c "uname -n; readlink /proc/self/ns/uts"
  nsenter --target $$ --uts --ipc readlink /proc/self/ns/uts /proc/self/ns/ipc
  unshare --pid --fork sh -c "echo \$\$; readlink /proc/self/ns/pid"'
unshare --mount sh -c '
  mount -t tmpfs none /mnt
  touch /mnt/uts
  unshare --uts=/mnt/uts hostname container_001
  nsenter --uts=/mnt/uts uname -n'
sh -c "$look"
