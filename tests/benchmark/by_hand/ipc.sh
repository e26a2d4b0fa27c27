unshare --ipc --mount sh -c '
  sh -c "ipcmk -Q; ipcmk -M 4096; ipcmk -S 1"
  ipcs -q; cat /proc/sysvipc/msg /proc/sysvipc/shm /proc/sysvipc/sem
  readlink /proc/self/ns/ipc
  unshare --ipc sh -c "readlink /proc/self/ns/ipc
    ipcmk -Q; ipcmk -M 4096; ipcmk -S 1
    ipcs -q; cat /proc/sysvipc/msg /proc/sysvipc/shm /proc/sysvipc/sem"
  cat /proc/sysvipc/msg /proc/sysvipc/shm /proc/sysvipc/sem
  mount -t tmpfs none /dev/shm
  mkdir /dev/shm/mqueue
  unshare --ipc sh -c "mount -t mqueue none /dev/shm/mqueue
    touch /dev/shm/mqueue/new; ls /dev/shm/mqueue"
  echo seen >/dev/shm/file
  unshare --ipc cat /dev/shm/file
  touch /dev/shm/mqueue/late' 2>/dev/null
readlink /proc/self/ns/ipc
