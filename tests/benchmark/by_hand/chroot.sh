look='ls /; uname -n; readlink /proc/self/ns/uts /proc/self/ns/pid'

sh -c "$look"
unshare --mount sh -c "
  mount -t tmpfs none /mnt
  mkdir /mnt/usr /mnt/proc /mnt/old
  mount --rbind /usr /mnt/usr
  mount --rbind /proc /mnt/proc
  for name in bin lib lib64; do ln -s usr/\$name /mnt/\$name; done
  chroot /mnt sh -c '$look'
  cd /mnt
  pivot_root . old
  umount -l old
  ls /"
sh -c "$look"
