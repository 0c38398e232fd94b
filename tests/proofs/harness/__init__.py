"""What the proofs share: private servers, processes of the service, and a load that counts."""
