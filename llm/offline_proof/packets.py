"""What a captured packet says about where it was going. Pure; what cannot be read is said to be so."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
_DNS = 53
_ICMP6, _UNREACHABLE = 58, 1


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet that was sent.

    Attributes:
        protocol: such as "TCP".
        destination: address; empty where the packet could not be read.
        port: of the destination; 0 where there is none.
        name: the name that a DNS query asks for; empty for others.
    """

    protocol: str
    destination: str = ""
    port: int = 0
    name: str = ""

    @property
    def leaves(self) -> bool:
        """Whether it was for somebody else: not for this machine, or a question for a name server wherever it is."""
        if not self.destination:
            return True
        return self.port == _DNS or not ipaddress.ip_address(self.destination).is_loopback

    def __str__(self) -> str:
        if not self.destination:
            return f"{self.protocol} (not read)"
        target = f"[{self.destination}]" if ":" in self.destination else self.destination
        text = f"{self.protocol} to {target}" + (f":{self.port}" if self.port else "")
        return f"{text}, looking up {self.name!r}" if self.name else text


def read_packet(data: bytes) -> Packet:
    """Read an IP packet, without the frame around it."""
    try:
        version = data[0] >> 4
        if version == 4:
            header, protocol = 4 * (data[0] & 15), data[9]
            destination = str(ipaddress.IPv4Address(data[16:20]))
        elif version == 6:
            header, protocol = 40, data[6]
            destination = str(ipaddress.IPv6Address(data[24:40]))
            if protocol == _ICMP6 and data[40] == _UNREACHABLE:
                # The kernel takes no IPv6 default route over the loopback: it gives each packet back in a complaint.
                return read_packet(data[48:])
        else:
            return Packet(f"IP version {version}")
        name = _PROTOCOLS.get(protocol, f"protocol {protocol}")
        if name not in ("TCP", "UDP"):
            return Packet(name, destination)
        (port,) = struct.unpack_from(">H", data, header + 2)
        question = _question(data[header + 8 + 12 :]) if name == "UDP" and port == _DNS else ""
        return Packet(name, destination, port, question)
    except (IndexError, ValueError, struct.error):
        return Packet("damaged packet")


def _question(data: bytes) -> str:
    """The name in a DNS message, from behind its header on."""
    labels, position = [], 0
    while position < len(data) and 0 < data[position] < 64:
        labels.append(data[position + 1 : position + 1 + data[position]].decode("ascii", "backslashreplace"))
        position += 1 + data[position]
    return ".".join(labels)
