"""Console sessions: who is at which screen."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.connections.actions.answer_help import answer_help
from broker.connections.actions.ask_help import ask_help
from broker.connections.actions.create_share import create_share
from broker.connections.actions.end_help import end_help
from broker.connections.actions.end_session import end_session
from broker.connections.actions.end_share import end_share
from broker.connections.actions.issue_ticket import issue_ticket
from broker.connections.actions.open_share import open_share
from broker.connections.actions.read_message import read_message
from broker.connections.actions.send_message import send_message
from broker.connections.finding import helps, messages, shares
from broker.connections.models import Help, Message, Session, Share
from broker.connections.queries import visible_sessions
from broker.connections.states import SessionState
from broker.virt.models import VirtualMachine
from portal.api.base import Listed, Read, Resource, verb
from portal.api.fields import Id, Input, Switch, TextField, WholeNumber
from portal.api.queries import choices
from portal.api.serializers.connections import (
    HelpSerializer,
    MessageSerializer,
    NewShareSerializer,
    SessionSerializer,
    ShareSerializer,
    TicketSerializer,
)


class Question(Input):
    level = serializers.ChoiceField(choices=Help.Level.choices, default=Help.Level.LOOK)


class Text(Input):
    text = TextField(max_length=500)


class Answer(Input):
    allow = Switch()


class Secret(Input):
    secret = serializers.CharField(max_length=128, trim_whitespace=False)


class NewShare(Input):
    vm = Id()
    level = serializers.ChoiceField(choices=Share.Level.choices, required=False)
    minutes = WholeNumber(required=False, min_value=1, max_value=1440)
    everybody = Switch(required=False, help_text="Also for people without an account, where the policy allows it.")


class SharedScreen(Input):
    view_only = Switch(required=False)


class SessionFilter(filters.FilterSet):
    state = choices(SessionState)
    user = filters.UUIDFilter(field_name="user_id")
    vm = filters.UUIDFilter(field_name="vm_id")
    purpose = choices(Session.Purpose.values)


class Sessions(Listed, Read, Resource):
    """One's own consoles, and those at machines one may edit."""

    serializer_class = SessionSerializer
    filterset_class = SessionFilter
    ordering = ("-opened_at",)
    ordering_fields = ("opened_at", "closed_at", "state")

    def rows(self) -> QuerySet[Session]:
        return Session.objects.select_related("user", "vm", "sign_on")

    def visible(self, rows: QuerySet[Session]) -> QuerySet[Session]:
        return visible_sessions(self.actor)

    @extend_schema(responses=SessionSerializer)
    def retrieve(self, request: Request, pk: Any) -> Response:
        """One session."""
        return super().retrieve(request, pk)

    @verb("end", gives=SessionSerializer)
    def end(self, request: Request, pk: Any) -> Response:
        """Close the console; it ends within seconds."""
        self.nothing()
        session = self.find()
        end_session(actor=self.actor, session=session)
        return self.shown(session)

    @verb("ask-help", takes=Question, gives=HelpSerializer, status=201)
    def ask_help(self, request: Request, pk: Any) -> Response:
        """Ask the person there whether you may look on, or help; they answer in their page."""
        help = ask_help(actor=self.actor, session=self.find(), **self.input(Question))
        return Response(HelpSerializer(help).data, status=201)

    @verb("message", takes=Text, gives=MessageSerializer, status=201)
    def message(self, request: Request, pk: Any) -> Response:
        """Show a text in the person's console page."""
        message = send_message(actor=self.actor, session=self.find(), **self.input(Text))
        return Response(MessageSerializer(message).data, status=201)


class Helps(Listed, Read, Resource):
    """Questions to look on or help, and their answers: one's own, and those at machines one may edit."""

    serializer_class = HelpSerializer
    ordering = ("-asked_at",)
    ordering_fields = ("asked_at", "state")

    def rows(self) -> QuerySet[Help]:
        return Help.objects.select_related("vm", "helper", "asked_of")

    def visible(self, rows: QuerySet[Help]) -> QuerySet[Help]:
        return helps(self.actor)

    @verb("answer", takes=Answer, gives=HelpSerializer)
    def answer(self, request: Request, pk: Any) -> Response:
        """Allow or refuse; only for who was asked."""
        return self.shown(answer_help(actor=self.actor, help=self.find(), **self.input(Answer)))

    @verb("end", gives=HelpSerializer)
    def end(self, request: Request, pk: Any) -> Response:
        """End it; the screen closes for the helper."""
        self.nothing()
        return self.shown(end_help(actor=self.actor, help=self.find()))


class Shares(Listed, Read, Resource):
    """Links to screens: those one made or opened, and those of machines one may edit. Never their secrets."""

    serializer_class = ShareSerializer
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "expires_at")

    def rows(self) -> QuerySet[Share]:
        return Share.objects.select_related("vm", "owner")

    def visible(self, rows: QuerySet[Share]) -> QuerySet[Share]:
        return shares(self.actor)

    @verb("end", gives=ShareSerializer)
    def end(self, request: Request, pk: Any) -> Response:
        """End the link; the screen closes for who came by it."""
        self.nothing()
        return self.shown(end_share(actor=self.actor, share=self.find()))

    @verb("console-ticket", takes=SharedScreen, gives=TicketSerializer)
    def console_ticket(self, request: Request, pk: Any) -> Response:
        """A ticket for the shared screen, for who has opened the link."""
        share = self.find()
        ticket = issue_ticket(actor=self.actor, vm=share.vm, share=share, **self.input(SharedScreen))
        return Response(TicketSerializer(ticket).data)

    @extend_schema(request=Secret, responses={200: ShareSerializer})
    @action(detail=False, methods=["post"], url_path="open", url_name="open")
    def open(self, request: Request) -> Response:
        """Bind a link to yourself by its secret."""
        return self.shown(open_share(actor=self.actor, **self.input(Secret)))

    secret_answers = frozenset({"console_ticket", "create"})

    @extend_schema(request=NewShare, responses={201: NewShareSerializer})
    def create(self, request: Request) -> Response:
        """Make a link to one's own screen. Its secret is told once."""
        given = self.input(NewShare)
        vm = find(self.actor, VirtualMachine, given.pop("vm"), "vm.use")
        return Response(NewShareSerializer(create_share(actor=self.actor, vm=vm, **given)).data, status=201)


class Messages(Listed, Read, Resource):
    """What was written to people at screens: to oneself, and at machines one may edit."""

    serializer_class = MessageSerializer
    ordering = ("-sent_at",)
    ordering_fields = ("sent_at",)

    def rows(self) -> QuerySet[Message]:
        return Message.objects.select_related("vm", "user")

    def visible(self, rows: QuerySet[Message]) -> QuerySet[Message]:
        return messages(self.actor)

    @verb("read", gives=MessageSerializer)
    def read(self, request: Request, pk: Any) -> Response:
        """It was read, and is shown no more."""
        self.nothing()
        return self.shown(read_message(actor=self.actor, message=self.find()))
