"""The commands of `traincost`, one a file: its options, and what it does."""
