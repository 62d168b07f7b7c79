"""Makes the tables and two people, as a migration and a sign-up page would."""

import asyncio

from fastapi_users.db import SQLAlchemyUserDatabase
from fastapi_users.schemas import BaseUserCreate

from accounts import Base, User, UserManager, engine, open_session


async def seed():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session() as session:
        manager = UserManager(SQLAlchemyUserDatabase(session, User))
        for name, password in [("ada", "analytical engine"), ("bob", "tabulating machine")]:
            user = await manager.create(BaseUserCreate(email=f"{name}@example.com", password=password))
            print(f"{name}: {user.id}")


asyncio.run(seed())
