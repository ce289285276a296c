"""The run and finish scripts of an amphora's two services.

They work with the agent dead: the finish script of HAProxy tells keepalived of its death, and a waiter that the
run script leaves behind tells it when HAProxy answers again.
"""

import shlex
from pathlib import Path

from livia.agent.keepalived.render import DOWN, UP

_HAPROXY_RUN = """#!/bin/sh
cd .. || exit 111
: > h.log
exec >> h.log 2>&1
{join}rm -f h.sock m.sock state
cp state.start state 2> /dev/null
{waiter}exec nsenter --net=/run/netns/{namespace} -- {haproxy} -W -f haproxy.cfg -S unix@m.sock,mode,600
"""
# The socket appears when all listeners are bound. The waiter is orphaned at once: HAProxy is to have no child
# that it does not know.
_WAITER = """( ( until [ -S h.sock ]; do kill -0 $$ || exit; sleep 0.01; done; printf '{up}' > track ) & )
"""
_HAPROXY_FINISH = """#!/bin/sh
cd .. || exit 0
{sink}rm -f h.sock
echo "$1 $2" > h.exit
"""
_KEEPALIVED_RUN = """#!/bin/sh
cd .. || exit 111
: > k.log
exec >> k.log 2>&1
{join}exec nsenter --net=/run/netns/{namespace} -- {keepalived} --dont-fork --log-console --vrrp \\
  -f "$PWD/keepalived.conf" -p "$PWD/k.pid" -r "$PWD/kv.pid"
"""
# keepalived that was killed leaves the VIP behind, and the peer takes it too.
_KEEPALIVED_FINISH = """#!/bin/sh
cd .. || exit 0
while read -r address device; do ip -n {namespace} address delete "$address" dev "$device"; done < vips 2> /dev/null
exit 0
"""


def haproxy(namespace: str, program: Path, group: Path | None, *, tracked: bool) -> tuple[str, str]:
    """(run, finish) of HAProxy. `group`: file to write its process id to; `tracked`: keepalived follows it."""
    waiter = _WAITER.format(up=UP.strip()) if tracked else ""
    sink = f"echo {DOWN.strip()} > track\n" if tracked else ""
    run = _HAPROXY_RUN.format(join=_join(group), waiter=waiter, namespace=namespace, haproxy=shlex.quote(str(program)))
    return run, _HAPROXY_FINISH.format(sink=sink)


def keepalived(namespace: str, program: Path, group: Path | None) -> tuple[str, str]:
    """(run, finish) of keepalived."""
    run = _KEEPALIVED_RUN.format(join=_join(group), namespace=namespace, keepalived=shlex.quote(str(program)))
    return run, _KEEPALIVED_FINISH.format(namespace=namespace)


def _join(group: Path | None) -> str:
    return f"echo $$ > {shlex.quote(str(group))}\n" if group is not None else ""
