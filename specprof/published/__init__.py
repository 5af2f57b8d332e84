"""Results that other tools published: reads them, and checks them for impossible numbers."""
