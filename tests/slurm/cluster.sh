#!/usr/bin/env bash
# A private Slurm on one host: a controller and two virtual nodes with two pretend GPUs each. Needs root.
#
#   cluster.sh up DIR       bring it up, with its state in DIR; prints `export SLURM_CONF=…`; again: what died since
#   cluster.sh down DIR     end its processes
#   cluster.sh install      install what it needs with apt (Debian, Ubuntu)
#
# PORT (16817) and the next 110 belong to it. KILL_WAIT (2): seconds from SIGTERM to SIGKILL. ACCOUNTS=1: it keeps
# accounts, in a MariaDB of its own. Jobs in the partition `urgent` put those in `main` back into the queue.
set -euo pipefail
PORT=${PORT:-16817} ACCOUNTS=${ACCOUNTS:-} NODES=2 GPUS=2
DB_PORT=$((PORT + 1)) DBD_PORT=$((PORT + 2))

install_packages() {
  local programs=(slurmctld slurmd sbatch munged) packages=(slurmctld slurmd slurm-client munge)
  [ -z "$ACCOUNTS" ] || { programs+=(slurmdbd mariadbd); packages+=(slurmdbd mariadb-server); }
  export DEBIAN_FRONTEND=noninteractive
  exec 9>"${TMPDIR:-/tmp}/goe-slurm-install.lock"
  flock 9  # test processes come at the same time
  command -v "${programs[@]}" >/dev/null && [ "$(command -v "${programs[@]}" | wc -l)" = "${#programs[@]}" ] && return
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

# Folder, key and socket are its own; munged wants folders that only root may write to.
start_munge() {
  local munge=$1/munge
  install -d -m 0755 "$munge"
  [ -s "$munge/munge.key" ] || { dd if=/dev/urandom of="$munge/munge.key" bs=128 count=1 status=none; chmod 0400 "$munge/munge.key"; }
  alive "$munge/munged.pid" && return
  rm -f "$munge"/munge.socket* "$munge/munged.pid"
  munged --force --num-threads=2 --socket="$munge/munge.socket" --key-file="$munge/munge.key" \
    --pid-file="$munge/munged.pid" --log-file="$munge/munged.log" --seed-file="$munge/munged.seed"
}

# cred_expire: a job that is put back waits for its credential to expire, two minutes by default.
write_config() {
  local dir=$1 host node gpu
  host=$(hostname -s)
  mkdir -p "$dir"/{etc,state,log,run,dev}
  cat > "$dir/etc/slurm.conf" <<CONF
ClusterName=goe
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/munge.socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/run/spool-%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
$(accounting "$dir")
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=100000,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SlurmdTimeout=20
InactiveLimit=0
KillWait=${KILL_WAIT:-2}
MinJobAge=600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu
PropagateResourceLimitsExcept=MEMLOCK
CONF
  echo "AutoDetect=off" > "$dir/etc/gres.conf"
  for node in $(seq 1 $NODES); do
    mkdir -p "$dir/run/spool-n$node"
    echo "NodeName=n$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + 100 + node)) CPUs=4 RealMemory=8000" \
      "Gres=gpu:$GPUS State=UNKNOWN" >> "$dir/etc/slurm.conf"
    for gpu in $(seq 0 $((GPUS - 1))); do
      [ -e "$dir/dev/n$node-gpu$gpu" ] || mknod "$dir/dev/n$node-gpu$gpu" c 1 3
      echo "NodeName=n$node Name=gpu File=$dir/dev/n$node-gpu$gpu" >> "$dir/etc/gres.conf"
    done
  done
  cat >> "$dir/etc/slurm.conf" <<CONF
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=2 PreemptMode=OFF
CONF
}

accounting() {
  if [ -z "$ACCOUNTS" ]; then echo "AccountingStorageType=accounting_storage/none"; return; fi
  cat <<CONF
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$DBD_PORT
AccountingStoragePass=$1/munge/munge.socket
AccountingStorageTRES=gres/gpu
CONF
}

sql() { mariadb --no-defaults -uroot --socket="$1/run/db.sock" "${@:2}"; }

start_accounts() {
  local dir=$1
  [ -d "$dir/db/mysql" ] || mariadb-install-db --no-defaults --user=root --datadir="$dir/db" \
    --auth-root-authentication-method=normal --skip-test-db > "$dir/log/db-install.log" 2>&1
  if ! alive "$dir/run/db.pid"; then
    setsid mariadbd --no-defaults --user=root --datadir="$dir/db" --socket="$dir/run/db.sock" --bind-address=127.0.0.1 \
      --port="$DB_PORT" --pid-file="$dir/run/db.pid" --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
      --innodb-flush-log-at-trx-commit=0 </dev/null > "$dir/log/db.log" 2>&1 9>&- &
    for _ in $(seq 100); do sql "$dir" -e "select 1" >/dev/null 2>&1 && break; sleep 0.1; done
  fi
  sql "$dir" -e "create database if not exists slurm_acct_db; create user if not exists slurm@'127.0.0.1' identified by
    'x'; create user if not exists slurm@localhost identified by 'x'; grant all on slurm_acct_db.* to slurm@'127.0.0.1';
    grant all on slurm_acct_db.* to slurm@localhost"
  (umask 077; cat > "$dir/etc/slurmdbd.conf") <<CONF
AuthType=auth/munge
AuthInfo=socket=$dir/munge/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$DBD_PORT
SlurmUser=root
LogFile=$dir/log/slurmdbd.log
PidFile=$dir/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$DB_PORT
StorageUser=slurm
StoragePass=x
StorageLoc=slurm_acct_db
CONF
  alive "$dir/run/slurmdbd.pid" || slurmdbd
  for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$DBD_PORT") 2>/dev/null && break; sleep 0.1; done
  sacctmgr -n list cluster format=Cluster | grep -q goe || sacctmgr -i add cluster goe >/dev/null
}

# Clients themselves try for 10 s to reach a controller that is not up yet.
wait_for_nodes() {
  local end=$((SECONDS + 30))
  while [ $SECONDS -lt $end ]; do
    [ "$(timeout 3 sinfo -h -N -p main -o %T 2>/dev/null | grep -cE '^(idle|mixed|allocated)$')" = "$NODES" ] && return
    sleep 0.1
  done
  echo "Slurm did not come up" >&2
  tail -n 15 "$1"/log/slurm*.log >&2
  return 1
}

up() {
  local dir=$1 node
  start_munge "$dir"
  write_config "$dir"
  export SLURM_CONF=$dir/etc/slurm.conf
  [ -z "$ACCOUNTS" ] || start_accounts "$dir"
  alive "$dir/run/slurmctld.pid" || slurmctld
  for node in $(seq 1 $NODES); do
    alive "$dir/run/slurmd-n$node.pid" || slurmd -N "n$node"
  done
  wait_for_nodes "$dir"
  echo "export SLURM_CONF=$SLURM_CONF"
}

down() {
  local dir=$1 file pid pids=()
  export SLURM_CONF=$dir/etc/slurm.conf
  timeout 5 scancel --user="$(id -un)" 2>/dev/null || true
  for file in "$dir"/run/slurmd-*.pid "$dir"/run/{slurmctld,slurmdbd,db}.pid "$dir/munge/munged.pid"; do
    alive "$file" && pids+=("$(cat "$file")")
  done
  [ ${#pids[@]} = 0 ] || kill "${pids[@]}"
  for _ in $(seq 50); do kill -0 "${pids[@]}" 2>/dev/null || break; sleep 0.1; done
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
}

case ${1:-} in
  install) install_packages ;;
  up | down) "$1" "${2:?give a folder for its state}" ;;
  *) sed -n '2,9s/^# \?//p' "$0" >&2; exit 2 ;;
esac
