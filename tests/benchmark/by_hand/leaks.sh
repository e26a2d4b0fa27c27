look='uname -n -r; echo $$; nproc; grep MemTotal /proc/meminfo
  cat /proc/sys/kernel/threads-max /proc/loadavg; date --utc "+%F %T"
  readlink /proc/self/ns/*'

unshare --mount --uts sh -c "
  hostname host
  mount -t tmpfs none /dev/shm
  echo seen >/dev/shm/file
  $look
  sh -c '$look'
  unshare --uts --ipc --pid --fork --net --map-root-user --cgroup --time \
    --mount sh -c '
    hostname container_001
    $look
    cat /dev/shm/file
    mount -t tmpfs none /dev/shm
    cat /dev/shm/file'
  $look" 2>/dev/null
