look='cd /proc/self/ns && stat -L -c "%n %d %i" *'
rename='echo container_001 >/proc/sys/kernel/hostname; hostname'
# With $kind: a caller's own link and that of its next child.
links='readlink /proc/$$/ns/$kind /proc/$$/ns/${kind}_for_children'

ls -l /proc/self/ns
sh -c "$look"
unshare --uts sh -c "$look"
unshare --uts sh -c "$rename; $look; sh -c 'hostname; $look'"
hostname
for kind in pid time; do
  export kind
  unshare --$kind --fork sh -c "$links; readlink /proc/self/ns/$kind"
done
ls -l /proc/self/ns
