"""What a generated service promises, proved on real processes and real servers with real faults."""
