"""`manage.py people NUMBER:NAME:PASSWORD …`: accounts with known numbers."""

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("people", nargs="+")

    def handle(self, *args, people, **options):
        for person in people:
            number, name, password = person.split(":")
            User.objects.create_user(name, password=password, pk=number)
