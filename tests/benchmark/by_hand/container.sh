look='hostname; stat --format "%d %i" /; ip -brief link; grep -E "CapBnd|NoNewPrivs" /proc/self/status'

sh -c "$look"
unshare --uts --ipc --pid --net --cgroup --time --mount --fork --kill-child sh -c "
  echo container_001 >/proc/sys/kernel/hostname
  mount -t tmpfs none /mnt
  mkdir /mnt/root /mnt/upper /mnt/work
  mount --bind /mnt/root /mnt/root
  cd /mnt/root
  mkdir dev etc mnt proc tmp usr
  mount -t overlay overlay -o lowerdir=/usr,upperdir=../upper,workdir=../work usr
  for directory in bin lib lib64 sbin; do ln -s usr/\$directory \$directory; done
  pivot_root . mnt
  mount -t tmpfs none /dev
  for device in full null random tty urandom zero; do
    : >/dev/\$device; mount --bind /mnt/dev/\$device /dev/\$device
  done
  mount -t proc none /proc
  umount -l /mnt
  ip link set lo up
  setpriv --no-new-privs --bounding-set=-all,+chown,+setuid,+setgid sh -c '$look; : >/usr/written_inside; ls /usr'"
sh -c "$look"
