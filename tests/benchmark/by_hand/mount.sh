ps -e
readlink /proc/self/ns/mnt
unshare --pid --fork ps -e
unshare --pid --mount --fork sh -c '
  mount -t proc proc /proc
  mount -t tmpfs none /mnt
  ps -e
  readlink /proc/self/ns/mnt
  grep /mnt /proc/self/mountinfo'
for propagation in shared private slave; do
  unshare --mount sh -c "
    mount -t tmpfs none /mnt
    mount --make-shared /mnt
    mkdir /mnt/inner
    unshare --mount --propagation $propagation mount -t tmpfs none /mnt/inner
    grep /mnt /proc/self/mountinfo"
done
ps -e
grep -c /mnt /proc/self/mountinfo
