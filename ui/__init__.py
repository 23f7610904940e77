"""The chat page: asks a `Rag`, shows its answers and their sources. A skin: it decides nothing about answers."""
