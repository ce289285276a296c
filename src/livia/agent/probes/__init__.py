"""Health checks that HAProxy cannot do: PING, and everything for UDP and SCTP pools (contract 40, section 10).

Each amphora has a `Watch`. It is told the spec, and answers `up(pool id, member id)` at any time; a callback is told
which verdicts changed. One `Prober` sends all checks of an agent, from one thread that enters the amphora's network
namespace only to open sockets.
"""
