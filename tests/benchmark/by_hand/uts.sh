look='uname -n; hostname; cat /proc/sys/kernel/hostname
  cat /proc/sys/kernel/domainname; readlink /proc/self/ns/uts'
rename='hostname container_001; domainname domain_001'

sh -c "$look"
unshare --uts sh -c "(sh -c '$rename'; readlink /proc/self/ns/uts); $look"
unshare --uts sh -c "$look; $rename; $look"
unshare --user --map-root-user sh -c '
  hostname "$(uname -n)" 2>/dev/null; id -u; readlink /proc/self/ns/user'
unshare --user --map-root-user --uts sh -c "$rename; readlink /proc/self/ns/uts"
sh -c "$look"
