"""The agent dies, the host reboots, HAProxy refuses: what served goes on serving."""

import random
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
import urllib3
from msgspec.structs import replace

from livia.agent.plumbing import kernel
from livia.core.report import Applied, Refused
from tests.agent.lab import VIP, Lab, end, listener, member, monitor, pool, processes_in, single
from tests.agent.load import KeptLoad
from tests.waiting import wait_for


def test_a_restarted_agent_adopts_without_touching(lab: Lab) -> None:
    lab.start()
    lab.member("one", "172.31.213.11")
    client = lab.namespace("client", "172.31.213.100")
    spec = single((pool(member(1), monitor=monitor()),))
    applied = lab.apply(spec, 4)
    worker = lab.worker_pid(spec.amphora_id)
    with KeptLoad(client, VIP) as load:
        lab.stop()
        lab.start()
        answer = lab.request("GET", f"/v1/amphorae/{spec.amphora_id}").json()
        assert (answer["generation"], answer["digest"], answer["forwarding"]) == (4, applied.digest, True)
    assert load.failures == []
    assert lab.worker_pid(spec.amphora_id) == worker


@pytest.mark.parametrize("seed", range(4))
def test_an_agent_killed_in_the_middle_of_a_put_converges(lab: Lab, seed: int) -> None:
    chance = random.Random(seed)
    lab.spawn()
    lab.member("one", "172.31.213.11")
    lab.member("two", "172.31.213.12")
    client = lab.namespace("client", "172.31.213.100")
    spec = single((pool(member(1), member(2), monitor=monitor()),))
    lab.apply(spec)
    with KeptLoad(client, VIP) as load:
        for generation in range(2, 5):
            changed = replace(
                single((pool(member(1), *([member(2)] if generation % 2 else []), monitor=monitor()),)),
                listeners=(listener(timeout_client_data=40000 + generation // 2),),
            )
            put = Thread(target=_put_until_dead, args=(lab, changed, generation))
            put.start()
            time.sleep(chance.uniform(0.0, 0.08))
            lab.kill()
            put.join()
            lab.spawn()
            assert not (lab.config.state_directory / "amphorae" / spec.amphora_id / "pending").exists()
            assert isinstance(lab.put(changed, generation), Applied)
    assert load.failures == []
    assert set(load.served) == {"one", "two"}


def _put_until_dead(lab: Lab, spec: object, generation: int) -> None:
    from livia.core.spec import Spec

    assert isinstance(spec, Spec)
    with suppress(urllib3.exceptions.HTTPError):
        lab.put(spec, generation)


@pytest.mark.parametrize("seed", range(4))
def test_an_agent_killed_while_it_creates_leaves_nothing_half(lab: Lab, seed: int) -> None:
    lab.spawn()
    spec = single((), (listener(default_pool_id=None),))
    put = Thread(target=_put_until_dead, args=(lab, spec, 1))
    put.start()
    time.sleep(0.015 + seed * 0.02)
    lab.kill()
    put.join()
    lab.spawn()
    answer = lab.request("GET", f"/v1/amphorae/{spec.amphora_id}")
    if answer.status == 404:
        assert not kernel.exists(lab.names.amphora(spec.amphora_id))
        assert processes_in(lab.names.amphora(spec.amphora_id)) == []
    lab.apply(spec)


def test_after_a_reboot_of_the_host_all_is_rebuilt_from_disk(lab: Lab) -> None:
    lab.spawn()
    lab.member("one", "172.31.213.11")
    spec = single((pool(member(1)),))
    lab.apply(spec, 3)
    lab.kill()
    _reboot(lab)
    lab.spawn()
    wait_for(lambda: lab.request("GET", f"/v1/amphorae/{spec.amphora_id}").json()["forwarding"])
    # The fabric is new, so members have to be plugged anew, too.
    lab.member("two", "172.31.213.12")
    lab.apply(single((pool(member(2)),)), 4)
    client = lab.namespace("client", "172.31.213.100")
    assert lab.get(client, VIP) == (200, "two")


def _reboot(lab: Lab) -> None:
    """What a reboot does: no process, no namespace, files as they were."""
    svscan = int((lab.config.state_directory / "s6" / "svscan.pid").read_text())
    end(svscan)
    for text in ("s6-supervise", "haproxy"):
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                where = (entry / "cwd").resolve()
                name = (entry / "comm").read_text().strip()
            except OSError:
                continue
            if name == text and str(where).startswith(str(lab.config.state_directory)):
                end(int(entry.name))
    for namespace in kernel.named(lab.names.prefix):
        kernel.delete(namespace)


def test_a_refused_configuration_replaces_nothing(tmp_path: Path) -> None:
    wrapper = tmp_path / "haproxy"
    wrapper.write_text(
        "#!/bin/sh\nfor each; do last=$each; done\n"
        'if [ "$1" = -c ] && grep -q "timeout client 41000" "$last"; then\n'
        '  echo "[ALERT] this one I do not like"; exit 1\nfi\nexec /usr/sbin/haproxy "$@"\n'
    )
    wrapper.chmod(0o755)
    lab = Lab(tmp_path, haproxy=wrapper)
    try:
        lab.start()
        lab.member("one", "172.31.213.11")
        client = lab.namespace("client", "172.31.213.100")
        spec = single((pool(member(1)),))
        lab.apply(spec, 1)
        worker = lab.worker_pid(spec.amphora_id)
        answer = lab.put(replace(spec, listeners=(listener(timeout_client_data=41000),)), 2)
        assert isinstance(answer, Refused)
        assert (answer.code, answer.running_generation) == ("haproxy_refused", 1)
        assert "this one I do not like" in answer.details
        assert lab.get(client, VIP) == (200, "one")
        assert lab.worker_pid(spec.amphora_id) == worker
        directory = lab.config.state_directory / "amphorae" / spec.amphora_id
        assert "timeout client 41000" in (directory / "haproxy.cfg.failed").read_text()
        assert "timeout client 41000" not in (directory / "haproxy.cfg").read_text()
        other = single((pool(member(1)),), (listener(timeout_client_data=41000),), number=6)
        assert isinstance(lab.put(other), Refused)
        assert lab.request("GET", f"/v1/amphorae/{other.amphora_id}").status == 404
        assert not kernel.exists(lab.names.amphora(other.amphora_id))
    finally:
        lab.close()


def test_a_killed_haproxy_comes_back_as_it_was(running: Lab) -> None:
    running.member("one", "172.31.213.11")
    running.member("two", "172.31.213.12")
    client = running.namespace("client", "172.31.213.100")
    spec = single((pool(member(1), monitor=monitor()),))
    running.apply(spec)
    running.apply(single((pool(member(1), member(2), monitor=monitor()),)), 2)
    end(running.worker_pid(spec.amphora_id))
    wait_for(lambda: {running.get(client, VIP)[1] for _ in range(2)} == {"one", "two"}, 30)
