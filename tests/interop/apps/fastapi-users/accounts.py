"""Users and their sessions in SQLite through SQLAlchemy."""

import os
import uuid
from collections.abc import AsyncGenerator

from fastapi import Depends
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin
from fastapi_users.authentication import AuthenticationBackend, CookieTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyAccessTokenDatabase, SQLAlchemyBaseAccessTokenTableUUID
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

FORTNIGHT = 14 * 24 * 60 * 60


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    pass


# SQLAlchemy writes one slash more in front of a whole path than others do.
engine = create_async_engine(os.environ["DATABASE_URL"].replace("sqlite://", "sqlite+aiosqlite:///"))
open_session = async_sessionmaker(engine, expire_on_commit=False)


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    pass


async def get_session() -> AsyncGenerator[AsyncSession]:
    async with open_session() as session:
        yield session


async def get_user_manager(session: AsyncSession = Depends(get_session)):
    yield UserManager(SQLAlchemyUserDatabase(session, User))


def get_strategy(session: AsyncSession = Depends(get_session)):
    return DatabaseStrategy(SQLAlchemyAccessTokenDatabase(session, AccessToken), lifetime_seconds=FORTNIGHT)


backend = AuthenticationBackend(
    name="database",
    transport=CookieTransport(cookie_max_age=FORTNIGHT, cookie_secure=os.environ["PUBLIC_URL"].startswith("https:")),
    get_strategy=get_strategy,
)
fastapi_users = FastAPIUsers[User, uuid.UUID](get_user_manager, [backend])
