"""Clients name the fields they want, and the SQL selects only those."""

from app.fields.fields import Fields as Fields
from app.fields.parse import BadFields as BadFields
from app.fields.reading import Joined as Joined
from app.fields.reading import Plan as Plan
from app.fields.reading import Reading as Reading
from app.fields.route import add_fields_route as add_fields_route
from app.fields.route import fields_of as fields_of
from app.fields.settings import FieldsSettings as FieldsSettings
from app.fields.shape import Related as Related
from app.fields.shape import Selection as Selection
from app.fields.shape import Shape as Shape
from app.pattern import Pattern

pattern = Pattern(
    name="fields",
    settings=FieldsSettings,
    resources=lambda service: [Fields(service.settings(FieldsSettings))],
)
