//! Who may use the panel: users, their logins, and tokens of scripts. Hashes only: nothing here lets anybody in.

use super::{Store, StoreError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    pub name: String,
    pub role: String,
    /// argon2id, as a PHC string.
    pub password: String,
    pub created_ms: i64,
}

/// A browser that has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRow {
    /// SHA-256 of what its cookie holds.
    pub mark: [u8; 32],
    pub user: String,
    pub created_ms: i64,
    pub seen_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    pub id: String,
    pub name: String,
    pub role: String,
    /// SHA-256 of the token.
    pub mark: [u8; 32],
    pub created_ms: i64,
    /// None: never.
    pub expires_ms: Option<i64>,
}

impl Store {
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached("SELECT name, role, password, created_ms FROM user ORDER BY name")?
                .query_map([], |row| {
                    Ok(UserRow {
                        name: row.get(0)?,
                        role: row.get(1)?,
                        password: row.get(2)?,
                        created_ms: row.get(3)?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// In place of the one of that name, if there is one.
    pub async fn save_user(&self, row: UserRow) -> Result<(), StoreError> {
        self.call(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO user (name, role, password, created_ms) VALUES (?1, ?2, ?3, ?4)",
                (row.name, row.role, row.password, row.created_ms),
            )
        })
        .await
        .map(drop)
    }

    /// With the logins.
    pub async fn delete_user(&self, name: String) -> Result<(), StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM user WHERE name = ?1", [&name])?;
            transaction.execute("DELETE FROM login WHERE user = ?1", [&name])?;
            transaction.commit()
        })
        .await
    }

    pub async fn logins(&self) -> Result<Vec<LoginRow>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached("SELECT mark, user, created_ms, seen_ms FROM login")?
                .query_map([], |row| {
                    Ok(LoginRow {
                        mark: row.get(0)?,
                        user: row.get(1)?,
                        created_ms: row.get(2)?,
                        seen_ms: row.get(3)?,
                    })
                })?
                .collect()
        })
        .await
    }

    pub async fn save_login(&self, row: LoginRow) -> Result<(), StoreError> {
        self.call(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO login (mark, user, created_ms, seen_ms) VALUES (?1, ?2, ?3, ?4)",
                (row.mark, row.user, row.created_ms, row.seen_ms),
            )
        })
        .await
        .map(drop)
    }

    pub async fn delete_logins(&self, marks: Vec<[u8; 32]>) -> Result<(), StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for mark in marks {
                transaction.execute("DELETE FROM login WHERE mark = ?1", [mark])?;
            }
            transaction.commit()
        })
        .await
    }

    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, name, role, mark, created_ms, expires_ms FROM token ORDER BY created_ms",
                )?
                .query_map([], |row| {
                    Ok(TokenRow {
                        id: row.get(0)?,
                        name: row.get(1)?,
                        role: row.get(2)?,
                        mark: row.get(3)?,
                        created_ms: row.get(4)?,
                        expires_ms: row.get(5)?,
                    })
                })?
                .collect()
        })
        .await
    }

    pub async fn save_token(&self, row: TokenRow) -> Result<(), StoreError> {
        self.call(move |connection| {
            connection.execute(
                "INSERT INTO token (id, name, role, mark, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (row.id, row.name, row.role, row.mark, row.created_ms, row.expires_ms),
            )
        })
        .await
        .map(drop)
    }

    pub async fn delete_token(&self, id: String) -> Result<(), StoreError> {
        self.call(move |connection| connection.execute("DELETE FROM token WHERE id = ?1", [id]))
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_saved_is_there_and_what_was_deleted_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap().store;
        let user = UserRow {
            name: "anna".into(),
            role: "admin".into(),
            password: "$argon2id$…".into(),
            created_ms: 1,
        };
        store.save_user(user.clone()).await.unwrap();
        let login = LoginRow {
            mark: [7; 32],
            user: "anna".into(),
            created_ms: 1,
            seen_ms: 2,
        };
        store.save_login(login.clone()).await.unwrap();
        assert_eq!(store.users().await.unwrap(), [user]);
        assert_eq!(store.logins().await.unwrap(), [login]);
        store.delete_user("anna".into()).await.unwrap();
        assert!(store.users().await.unwrap().is_empty());
        assert!(
            store.logins().await.unwrap().is_empty(),
            "they go with the user"
        );

        let token = TokenRow {
            id: "a1".into(),
            name: "companion".into(),
            role: "operator".into(),
            mark: [1; 32],
            created_ms: 1,
            expires_ms: None,
        };
        store.save_token(token.clone()).await.unwrap();
        assert_eq!(store.tokens().await.unwrap(), [token]);
        store.delete_token("a1".into()).await.unwrap();
        assert!(store.tokens().await.unwrap().is_empty());
    }
}
