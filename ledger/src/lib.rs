//! What makes it evidence: leaf, tree, batch, seal, checkpoint, proof, keys, verification.
