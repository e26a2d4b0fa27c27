look='uname -n; readlink /proc/self/ns/uts /proc/self/ns/pid'

sh -c "$look"
unshare --uts --ipc sh -c "
  echo container_001 >/proc/sys/kernel/hostname
  readlink /proc/self/ns/uts
  nsenter --target \$\$ --uts sh -c '$look'
  nsenter --ipc=/proc/\$\$/ns/uts true
  nsenter --target \$\$ --uts --ipc readlink /proc/self/ns/uts /proc/self/ns/ipc" \
  2>&1
unshare --pid --fork sh -c 'echo $$; readlink /proc/self/ns/pid'
unshare --mount sh -c '
  mount -t tmpfs none /mnt
  touch /mnt/uts
  unshare --uts=/mnt/uts readlink /proc/self/ns/uts
  nsenter --uts=/mnt/uts sh -c "umount /mnt/uts; readlink /proc/self/ns/uts"'
sh -c "$look"
