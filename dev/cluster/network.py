"""Addresses, kernel settings and packet rules of the nodes; the values before are saved, and restored by `down`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from dev.cluster.settings import GPU_NODE, MAIN_NODE, POD_CIDR, Cluster
from dev.terminal import run

MASQUERADE = "VOICE-DEV-MASQ"
FORWARD = "VOICE-DEV-FORWARD"
JUMPS = (("nat", "POSTROUTING", MASQUERADE), ("filter", "FORWARD", FORWARD))

# Forwarding between pods and the world; bridged packets must pass the rules that make Services work. kubelet sets the
# other three at start and kube-proxy the last, and neither puts them back.
WANTED = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}
CHANGED_BY_OTHERS = (
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/route_localnet",
)
SYSCTL = Path("/proc/sys")


def up(cluster: Cluster) -> None:
    """Give the nodes their addresses, and their pods a way out."""
    change_kernel_settings(cluster)
    for node in cluster.nodes:
        # On `lo`, because that link exists everywhere; not a loopback address, because kubelet refuses those.
        run(["ip", "address", "replace", f"{node.ip}/32", "dev", "lo"])
    rules = [
        ("nat", MASQUERADE, ["-s", POD_CIDR, "!", "-d", POD_CIDR, "-j", "MASQUERADE"]),
        ("filter", FORWARD, ["-s", POD_CIDR, "-j", "ACCEPT"]),
        ("filter", FORWARD, ["-d", POD_CIDR, "-j", "ACCEPT"]),
    ]
    for table, parent, chain in JUMPS:
        iptables(table, "-N", chain, check=False)  # fails when it exists, which is as good
        ensure_rule(table, parent, ["-j", chain])
    for table, chain, rule in rules:
        ensure_rule(table, chain, rule)


def down(cluster: Cluster) -> None:
    """Remove every address, bridge and rule that `up`, the CNI plugins and kube-proxy made."""
    for table, parent, chain in JUMPS:
        while "-j" in iptables(table, "-S", parent, check=False) and has_rule(table, parent, ["-j", chain]):
            iptables(table, "-D", parent, "-j", chain)
        iptables(table, "-F", chain, check=False)
        iptables(table, "-X", chain, check=False)
    remove_chains("KUBE-", "CNI-")
    for node in (MAIN_NODE, GPU_NODE):
        run(["ip", "link", "delete", node.bridge], check=False)
        run(["ip", "address", "delete", f"{node.ip}/32", "dev", "lo"], check=False)
    restore_kernel_settings(cluster)


def remove_chains(*prefixes: str) -> None:
    """Drop chains that kube-proxy and the portmap plugin leave behind, and the rules that lead there."""
    for program in ("iptables", "ip6tables"):
        for table in ("nat", "filter", "mangle"):
            lines = rules_of(program, table)
            chains = {
                line.split()[1] for line in lines if line.startswith("-N ") and line.split()[1].startswith(prefixes)
            }
            for line in lines:
                words = shlex.split(line)
                if words[0] == "-A" and words[1] not in chains and chains.intersection(words):
                    run([program, "--wait", "10", "--table", table, "-D", *words[1:]], check=False)
            for action in ("-F", "-X"):
                for chain in sorted(chains):
                    run([program, "--wait", "10", "--table", table, action, chain], check=False)


def rules_of(program: str, table: str) -> list[str]:
    """Every chain and rule of a table."""
    return run([program, "--wait", "10", "--table", table, "-S"], check=False).splitlines()


def bridged_packets_pass_iptables() -> bool:
    """Without this a Service cannot answer a pod on its own node, unless every packet is masqueraded."""
    path = SYSCTL / "net/bridge/bridge-nf-call-iptables"
    return path.exists() and path.read_text().strip() == "1"


def change_kernel_settings(cluster: Cluster) -> None:
    """Set the values that pods need, after saving the present ones."""
    run(["modprobe", "br_netfilter"], check=False) if Path("/sbin/modprobe").exists() else None
    record = cluster.state / "kernel-settings.json"
    if not record.exists():
        before = {name: value for name in (*WANTED, *CHANGED_BY_OTHERS) if (value := read_setting(name)) is not None}
        record.write_text(json.dumps(before, indent=2) + "\n")
    for name, value in WANTED.items():
        if read_setting(name) not in (None, value):
            (SYSCTL / name).write_text(value)


def restore_kernel_settings(cluster: Cluster) -> None:
    """Put every setting back."""
    record = cluster.state / "kernel-settings.json"
    if not record.exists():
        return
    for name, value in json.loads(record.read_text()).items():
        if read_setting(name) not in (None, value):
            (SYSCTL / name).write_text(value)


def read_setting(name: str) -> str | None:
    """The value of a kernel setting; None where the kernel has no such."""
    path = SYSCTL / name
    return path.read_text().strip() if path.exists() else None


def ensure_rule(table: str, chain: str, rule: list[str]) -> None:
    """Add a rule that is not there yet."""
    if not has_rule(table, chain, rule):
        iptables(table, "-A", chain, *rule)


def has_rule(table: str, chain: str, rule: list[str]) -> bool:
    """Whether the chain holds the rule."""
    wanted = f"-A {chain} {' '.join(rule)}"
    return wanted in {" ".join(line.split()) for line in iptables(table, "-S", chain, check=False).splitlines()}


def iptables(table: str, *arguments: str, check: bool = True) -> str:
    """Run iptables, waiting for others who change rules."""
    return run(["iptables", "--wait", "10", "--table", table, *arguments], check=check)
