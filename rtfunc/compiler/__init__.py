"""From a Graph to native code: passes, fusion and scheduling, memory plan, and the back ends."""
