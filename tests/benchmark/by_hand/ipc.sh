# The evidence of the lesson ipc, by hand.
readlink /proc/self/ns/ipc
ipcs
unshare --ipc --mount sh -c '
  mount -t tmpfs none /dev/shm
  ipcmk -Q; ipcmk -M 4096; ipcmk -S 1
  ipcs
  sh -c ipcs
  unshare --ipc sh -c "readlink /proc/self/ns/ipc; ipcs; ipcmk -Q; ipcs"
  ipcs
  echo seen >/dev/shm/file
  unshare --ipc cat /dev/shm/file'
ipcs
readlink /proc/self/ns/ipc
