"""traincost: what training costs, in time, memory, energy and arithmetic."""

__version__ = "0.1.0"
