"""What tests share: real servers, a film site, faults, and stand-ins for what only takes time."""
