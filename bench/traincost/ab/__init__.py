"""`traincost ab`: two revisions measured in turns on one machine, and judged."""
