"""The words and weights a sample draws from: people, places, products, plans, stages. All of it is invented."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Country:
    name: str
    dial: str
    digits: int
    currency: str
    region: str
    weight: float
    cities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A kind of customer: how common, how it buys, sells for and subscribes."""

    name: str
    weight: float
    pace: float
    single_unit: float
    deals: float
    deal_size: float
    subscribes: float
    plan: int
    seats: float


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COUNTRIES = (
    Country(
        "United Kingdom", "447", 9, "GBP", "UK & Ireland", 40, ("London", "Manchester", "Leeds", "Bristol", "Glasgow")
    ),
    Country("Ireland", "3538", 8, "EUR", "UK & Ireland", 5, ("Dublin", "Cork", "Galway")),
    Country("Germany", "4915", 9, "EUR", "Continental Europe", 12, ("Berlin", "Hamburg", "München", "Köln")),
    Country("France", "336", 8, "EUR", "Continental Europe", 10, ("Paris", "Lyon", "Nantes", "Orléans")),
    Country("Netherlands", "316", 8, "EUR", "Continental Europe", 5, ("Amsterdam", "Utrecht", "Rotterdam")),
    Country("Spain", "346", 8, "EUR", "Continental Europe", 5, ("Madrid", "Barcelona", "Málaga")),
    Country("Sweden", "467", 8, "SEK", "Nordics", 4, ("Stockholm", "Göteborg", "Malmö")),
    Country("Denmark", "45", 8, "DKK", "Nordics", 2, ("København", "Aarhus")),
    Country("Switzerland", "417", 8, "CHF", "Continental Europe", 3, ("Zürich", "Genève", "Basel")),
    Country(
        "United States", "1", 10, "USD", "North America", 10, ("New York", "Austin", "Chicago", "Seattle", "Boston")
    ),
    Country("Canada", "1", 10, "CAD", "North America", 2, ("Toronto", "Montréal", "Vancouver")),
    Country("Australia", "614", 8, "AUD", "Asia-Pacific", 2, ("Sydney", "Melbourne", "Perth")),
)

SEGMENTS = (
    Segment("Consumer", 62, 0.9, 0.75, 0.04, 300, 0.12, 0, 0.0),
    Segment("Small business", 24, 1.1, 0.45, 0.7, 2_400, 0.40, 1, 1.5),
    Segment("Mid-market", 10, 1.3, 0.28, 1.4, 11_000, 0.55, 2, 5.0),
    Segment("Enterprise", 4, 1.6, 0.16, 2.4, 46_000, 0.60, 3, 20.0),
)

SOURCES = ("Organic search", "Paid search", "Referral", "Social", "Partner", "Event", "Email")
SOURCE_WEIGHTS = (28.0, 24.0, 16.0, 14.0, 8.0, 4.0, 6.0)
ORDER_CHANNELS = ("Web", "Mobile app", "Marketplace", "Phone", "Store")
ORDER_CHANNEL_WEIGHTS = (46.0, 27.0, 14.0, 5.0, 8.0)
CAMPAIGNS = ("Always on", "New arrivals", "Spring sale", "Summer event", "Autumn launch", "Gift season")

OWNERS = (
    ("Amara Okafor", "North"),
    ("Ben Hollis", "North"),
    ("Carla Mendes", "North"),
    ("Dmitri Volkov", "South"),
    ("Elin Sjöberg", "South"),
    ("Farah Aziz", "South"),
    ("Greta Lindt", "Key accounts"),
    ("Hugo Marchetti", "Key accounts"),
    ("Imogen Pryce", "Digital"),
    ("Jonas Weber", "Digital"),
    ("Kavya Raman", "Digital"),
    ("Liam Doyle", "North"),
)
OWNER_SKILL = (1.08, 0.94, 1.02, 0.9, 1.12, 1.0, 1.1, 0.97, 1.0, 0.88, 1.05, 0.96)

FIRST_NAMES = _words(
    "Ada Aisha Alan Alice Anders Anna Arjun Astrid Beatriz Ben Bruno Camille Carlos Chen Clara Daniel Diego Elena Emil "
    "Emma Erik Fatima Felix Finn Freya Grace Hana Hannah Henrik Hugo Ines Isaac Isla Jack Jana Jonas Julia Kai Karin "
    "Lars Laura Lena Leo Lily Louis Lucia Maja Marco Maria Mateo Maya Mei Mia Milo Nadia Nina Noah Nora Olga Oliver "
    "Omar Oscar Paula Pia Priya Rafael Rosa Ruth Sami Sara Sofia Stefan Tariq Thomas Tom Vera Victor Wanda Yara Zoe"
)
LAST_NAMES = _words(
    "Adler Ahmed Alvarez Andersen Baker Barnes Becker Berg Blake Brandt Brooks Carter Castro Chandra Clarke Cohen "
    "Costa Dahl Davies Diaz Dubois Evans Fischer Fletcher Fournier Garcia Gomez Graham Gray Gupta Haas Hall Hansen "
    "Hill Holm Hughes Iqbal Jansen Jensen Jones Kaur Keller Khan Klein Kowalski Lambert Larsen Lee Lewis Lopez Lund "
    "Marsh Martin Meyer Moore Moreau Morgan Murphy Nash Nguyen Novak Olsen Ortiz Parker Patel Perez Petit Quinn Ramos "
    "Reed Ricci Roberts Rossi Roth Roy Santos Schmidt Sharma Shaw Silva Singh Sousa Stein Turner Vogel Walker Weiss "
    "Wilson Wood Wright Yilmaz Young Zhang Ziegler"
)
COMPANY_STEMS = _words(
    "Alder Amber Anchor Arbour Beacon Birch Bluegate Bramble Cedar Cinder Clover Copper Crescent Delta Eastfield Ember "
    "Falcon Fern Flint Forge Garnet Granite Harbour Hawthorn Hazel Heron Horizon Ivy Juniper Kestrel Lantern Larch "
    "Linden Maple Meridian Mill Moss Northgate Oak Orchard Pebble Pine Quarry Raven Ridge Rowan Saffron Slate Sparrow "
    "Stone Summit Thistle Tidal Timber Vale Willow"
)
COMPANY_TAILS = _words("Analytics Foods Labs Logistics Media Partners Retail Studio Supply Systems Textiles Works")
MAIL_HOSTS = ("example.com", "example.net", "example.org")

PRODUCT_FAMILIES = (
    ("Kettle", 3_400),
    ("Mug", 850),
    ("Teapot", 2_650),
    ("Coffee beans", 1_150),
    ("Tea tin", 780),
    ("Grinder", 5_900),
    ("Filter papers", 420),
    ("Scale", 2_990),
    ("Tray", 1_875),
    ("Notebook", 640),
    ("Lamp", 4_450),
    ("Cushion", 1_925),
    ("Candle", 1_240),
    ("Vase", 2_150),
    ("Throw", 3_875),
    ("Clock", 2_795),
    ("Basket", 1_595),
    ("Apron", 1_690),
    ("Storage jar", 935),
    ("Gift card", 2_500),
)
PRODUCT_VARIANTS = (("Classic", 1.0), ("Small", 0.72), ("Large", 1.38), ("Studio", 1.85), ("Limited", 2.4))

PLANS = (("Starter", 2_900), ("Team", 7_900), ("Business", 19_900), ("Enterprise", 49_900))

OPEN_STAGES = ("Qualified", "Demo", "Proposal", "Negotiation")
STAGES = (*OPEN_STAGES, "Won", "Lost")
STAGE_PROBABILITY = (1_000, 2_500, 5_000, 7_500, 10_000, 0)
STAGE_PASSES = (0.66, 0.74, 0.72, 0.8)
STAGE_DAYS = (7.0, 12.0, 15.0, 10.0)
PIPELINES = ("New business", "Expansion")
DEAL_PRODUCTS = ("Wholesale supply", "Subscription", "Fit-out", "Corporate gifts")
LOST_REASONS = ("Price", "Competitor", "No budget", "No decision", "Missing feature", "Bad timing")
ACTIVITY_KINDS = ("Call", "Email", "Meeting", "Demo", "Note")
ACTIVITY_WEIGHTS = (30.0, 40.0, 15.0, 5.0, 10.0)

# Typical levels, good for making prices and rates plausible and for nothing else.
DOLLARS_PER_UNIT = {
    "GBP": 1.28,
    "EUR": 1.09,
    "USD": 1.0,
    "CHF": 1.14,
    "SEK": 0.096,
    "NOK": 0.093,
    "DKK": 0.146,
    "PLN": 0.253,
    "CAD": 0.73,
    "AUD": 0.66,
}
